"""What a client does before its first stanza: TLS, SASL, resource binding."""

import ssl
import warnings
import xml.etree.ElementTree as ET

from . import sasl
from .stream import CLIENT, STREAMS, Stream

TLS = "{urn:ietf:params:xml:ns:xmpp-tls}"
SASL = "{urn:ietf:params:xml:ns:xmpp-sasl}"
BIND = "{urn:ietf:params:xml:ns:xmpp-bind}"
SASL_NS = SASL[1:-1]


class ClientError(Exception):
    """The server does not do what every login needs."""


def say(event):
    """An event in words, for messages."""
    if event is None:
        return "nothing"
    kind, element = event
    if kind in ("eof", "close"):
        return {"eof": "the end of TCP", "close": "</stream:stream>"}[kind]
    if kind == "broken":
        return f"broken XML: {element}"
    return show(element)


def show(element, limit=800):
    text = ET.tostring(element, encoding="unicode")
    return text if len(text) <= limit else text[:limit] + "..."


class Dialer:
    """Knows where the server is; makes streams to it."""

    def __init__(self, options):
        self.options = options

    def context(self, alpn=None, version=None, certificate=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.options.ca:
            context.load_verify_locations(self.options.ca)
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(alpn)
        if certificate:
            context.load_cert_chain(certificate)
        if version:
            # OpenSSL refuses what is old by itself at its usual level.
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore"):
                context.minimum_version = version
                context.maximum_version = version
        return context

    def open(self, log, how=""):
        """A connection: plain, 'direct', or 'secure' in whatever way."""
        options = self.options
        # STARTTLS would tie the stream to one host, so 'secure' avoids it.
        direct = how == "direct" or (how == "secure" and options.direct_tls)
        address = options.direct_tls if direct else options.address
        if address is None:
            raise ClientError("no address for such a connection is given")
        stream = Stream.dial(address, log, options.timeout)
        if direct:
            stream.start_tls(self.context(["xmpp-client"]), options.domain)
        elif how == "secure":
            start_stream(stream, options.domain)
            self.start_tls(stream, options.domain)
        return stream

    def open_with(self, log, context, session=None):
        """TLS of that context, in whatever way; an error if it fails."""
        options = self.options
        if options.direct_tls:
            stream = Stream.dial(options.direct_tls, log, options.timeout)
        else:
            stream = Stream.dial(options.address, log, options.timeout)
            start_stream(stream, options.domain)
            stream.send(f"<starttls xmlns='{TLS[1:-1]}'/>")
            expect(stream, TLS + "proceed")
        try:
            stream.start_tls(context, options.domain, session)
        except OSError:
            stream.close()
            raise
        return stream

    def start_tls(self, stream, name):
        stream.send(f"<starttls xmlns='{TLS[1:-1]}'/>")
        expect(stream, TLS + "proceed")
        self.negotiate_tls(stream, name)

    def negotiate_tls(self, stream, name):
        """The handshake; without a name the client sends no SNI."""
        context = stream.context or self.context()
        if name is None:
            context.check_hostname = False
        stream.start_tls(context, name)

    def login(self, log, account, resource):
        """A stream that is secured, authenticated and bound."""
        if self.options.address:
            stream = self.open(log)
            start_stream(stream, account.host)
            self.start_tls(stream, account.host)
        else:
            stream = self.open(log, "direct")
        start_stream(stream, account.host)
        authenticate(stream, account)
        start_stream(stream, account.host)
        bind(stream, resource)
        return stream


def expect(stream, tag):
    event = stream.next()
    if event is None or event[0] != "element" or event[1].tag != tag:
        raise ClientError(f"wanted <{tag.rpartition('}')[2]}/>, "
                          f"got {say(event)}")
    return event[1]


def start_stream(stream, to):
    stream.start_stream(to)
    event = stream.next()
    if event is None or event[0] != "stream":
        raise ClientError(f"wanted a stream header, got {say(event)}")
    stream.header = event[1]
    stream.features = expect(stream, f"{{{STREAMS}}}features")


def mechanisms(features):
    """Their names, in the server's order."""
    found = features.iter(SASL + "mechanism")
    return [(mechanism.text or "").strip() for mechanism in found]


def sasl_exchange(stream, mechanism, state):
    """Runs it to its end; the element that ended it."""
    first = sasl.encode(state.first)
    stream.send(f"<auth xmlns='{SASL_NS}' mechanism='{mechanism}'>"
                f"{first}</auth>")
    while True:
        event = stream.next()
        if event is None or event[0] != "element":
            raise ClientError(f"SASL met {say(event)}")
        if event[1].tag != SASL + "challenge":
            return event[1]
        answer = state.answer(sasl.decode(event[1].text))
        stream.send(f"<response xmlns='{SASL_NS}'>"
                    f"{sasl.encode(answer) if answer else ''}</response>")


def authenticate(stream, account, mechanism=None, binding=None):
    mechanism = mechanism or sasl.choose(mechanisms(stream.features))
    state = sasl.start(mechanism, account.user, account.password, stream.tls,
                       binding=binding)
    end = sasl_exchange(stream, mechanism, state)
    if end.tag != SASL + "success":
        raise ClientError(f"cannot log in: {show(end)}")
    proof = (end.text or "").strip()
    state.verify(b"" if proof in ("", "=") else sasl.decode(proof))


def bind(stream, resource=None):
    wish = f"<resource>{resource}</resource>" if resource else ""
    answer = stream.ask("bind-1", "<iq type='set' id='bind-1'>"
                        f"<bind xmlns='{BIND[1:-1]}'>{wish}</bind></iq>")
    jid = None if answer is None else answer.find(f"{BIND}bind/{BIND}jid")
    if jid is None or not jid.text:
        raise ClientError("cannot bind: " +
                          ("no answer" if answer is None else show(answer)))
    stream.jid = jid.text
    return stream.jid


__all__ = ["CLIENT", "ClientError", "Dialer", "authenticate", "bind",
           "expect", "mechanisms", "sasl_exchange", "say", "show",
           "start_stream"]
