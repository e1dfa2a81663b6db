"""Scripted foreign domains: where they listen, and their streams."""

import hashlib
import hmac
import secrets
import socket
import ssl

from . import dns
from .authority import Authority
from .stream import STREAMS, Stream

SERVER = "jabber:server"
DIALBACK = "jabber:server:dialback"
HEAD = ("<?xml version='1.0'?><stream:stream {attributes} version='1.0' "
        f"xml:lang='en' xmlns='{SERVER}' xmlns:stream='{STREAMS}'>")
SM = "{urn:xmpp:sm:3}"
PING = "{urn:xmpp:ping}ping"
STANZAS = tuple(f"{{jabber:client}}{word}"
                for word in ("message", "presence", "iq"))
SERVER_PORT = 5269


def key_of(secret, receiving, originating, stream_id):
    """XEP-0185, section 2."""
    return hmac.new(hashlib.sha256(secret.encode()).hexdigest().encode(),
                    f"{receiving} {originating} {stream_id}".encode(),
                    "sha256").hexdigest()


class Link(Stream):
    """A peer's end of a stream with the server, whoever connected."""

    content = SERVER

    def __init__(self, sock, log, timeout, peer):
        super().__init__(sock, log, timeout)
        self.peer, self.own_id, self.answered = peer, None, None
        self.server_name = self.words = None
        self.ready = self.counts = False  # past negotiation; XEP-0198
        self.handled, self.bidi = 0, False

    @property
    def id(self):
        return self.own_id or super().id

    def head(self, knows_dialback, **attributes):
        text = " ".join(f"{key}='{value}'"
                        for key, value in attributes.items() if value)
        if knows_dialback:
            text += f" xmlns:db='{DIALBACK}'"
        return HEAD.format(attributes=text)

    def start_stream(self, to, domain=None):
        self.reader.restart()
        self.send(self.head(True, **{"from": domain or self.peer.domain,
                                     "to": to}))

    def answer_stream(self, knows_dialback):
        """The response to the header that came."""
        self.own_id, self.answered = secrets.token_hex(8), self.header
        self.send(self.head(knows_dialback, **{
            "from": self.peer.domain, "id": self.own_id,
            "to": self.header.get("from")}))

    def be_tls_server(self, context):
        def note_name(_sock, name, _context):
            self.server_name = name

        context.sni_callback = note_name
        self.sock.settimeout(self.timeout)
        self.sock = context.wrap_socket(self.sock, server_side=True,
                                        suppress_ragged_eofs=False)
        self.tls = self.sock
        self.reader.restart()

    def pump(self, seconds):
        """Pings and acks of the server are the machinery's, not scenes'."""
        before = len(self.queue)
        came = super().pump(seconds)
        if self.ready:
            fresh = [self.queue.pop() for _ in range(len(self.queue) -
                                                     before)]
            self.queue.extend(event for event in reversed(fresh)
                              if event[0] != "element" or
                              not self.consume(event[1]))
        return came

    def consume(self, element):
        """Whether it was for the machinery, and is done with."""
        if element.tag in STANZAS:
            self.handled += 1
        if self.counts and element.tag == SM + "r":
            self.send(f"<a xmlns='{SM[1:-1]}' h='{self.handled}'/>")
        is_ping = element.get("type") == "get" and \
            element.find(PING) is not None and \
            element.get("to") == self.peer.domain
        if is_ping and self.bidi:
            self.send(f"<iq type='result' id='{element.get('id')}' "
                      f"from='{element.get('to')}' "
                      f"to='{element.get('from')}'/>")
        return is_ping or self.counts and element.tag == SM + "r"


class Peer:
    """A foreign domain of one scene."""

    def __init__(self, peers, name, how, home=None):
        self.peers, self.how = peers, how
        self.secret = secrets.token_hex(8)
        mark = "-\u00fc" if how == "idn" else ""
        self.domain = f"{name}.{home.domain}" if home else \
            f"{name}{mark}-{secrets.token_hex(4)}.{dns.ZONE}"
        self.ascii = dns.in_ascii(self.domain)
        self.address = home.address if home else "127.{}.{}.{}".format(
            64 + secrets.randbelow(128), *secrets.token_bytes(2))
        self.plain = home and home.plain
        self.direct = home and home.direct
        if how not in ("unknown", "silent", "refused", "no-service"):
            self.listen()
        self.publish()

    def listen(self):
        plain = SERVER_PORT if self.how in ("address", "unreachable") else 0
        if self.plain is None:
            self.plain = socket.create_server((self.address, plain))
        if self.direct is None and self.how in ("direct", "both"):
            self.direct = socket.create_server((self.address, 0))

    def publish(self):
        """What DNS says of it, by `how`."""
        add = self.peers.dns.add
        host = self.address if self.peers.options.srv_only else \
            f"xmpp.{self.ascii}"
        plain, direct = (f"_{each}._tcp.{self.ascii}"
                         for each in ("xmpp-server", "xmpps-server"))
        if self.how in ("address", "unreachable", "no-service"):
            add(self.ascii, dns.address(self.address))
        if self.how == "silent":
            self.peers.dns.silence(self.ascii)
        if self.how in ("refused", "no-direct"):
            add(direct, dns.service(0, 0, ""))
        if self.how == "refused":
            add(plain, dns.service(0, 0, ""))
            add(self.ascii, dns.address(self.address))
        if self.how in ("unreachable", "second"):
            add(plain, dns.service(5, 1, host))
        if self.how in ("", "both", "second", "no-direct", "idn"):
            add(plain, dns.service(10, self.plain.getsockname()[1], host))
        if self.how in ("direct", "both"):
            add(direct, dns.service(5, self.direct.getsockname()[1], host))
        if self.how not in ("unknown", "silent"):
            add(host, dns.address(self.address))

    def accept(self, direct, seconds):
        """The next connection of the server, or None."""
        listener = self.direct if direct else self.plain
        listener.settimeout(max(seconds, 0.01))
        try:
            sock, _ = listener.accept()
        except TimeoutError:
            return None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def close(self):
        for each in (self.plain, self.direct):
            if each is not None:
                each.close()


class Peers:
    """What all scenes share: DNS, the authority, and the server's address."""

    def __init__(self, options):
        self.options = options
        self.dns = dns.Responder(options.peer_dns)
        self.authority = Authority(options.folder, *options.peer_ca)

    def trust(self, context):
        context.load_verify_locations(self.options.peer_ca[0])
        if self.options.ca:
            context.load_verify_locations(self.options.ca)

    def client_context(self, certificate, alpn=None):
        """For a peer that connects."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.options.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            self.trust(context)
        if certificate:
            context.load_cert_chain(certificate)
        if alpn:
            context.set_alpn_protocols([alpn])
        return context

    def server_context(self, certificate):
        """For a peer that is connected to."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.set_alpn_protocols(["xmpp-server"])
        if not self.options.insecure:
            self.trust(context)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def certificate(self, domain, kind):
        return None if kind == "no" else \
            self.authority.issue(dns.in_ascii(domain), kind or "good")
