"""Steps: foreign domains, their streams in both directions, dialback."""

import re
import time

from . import client, peers, sasl
from .steps import Failed, step

WITH = r"(?: with ([\w-]+) certificate)?"
STARTTLS = client.TLS + "starttls"
RESULT = f"{{{peers.DIALBACK}}}result"
VERIFY = f"{{{peers.DIALBACK}}}verify"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
TURN_S = 0.05
BIDI = "{urn:xmpp:bidi}bidi"
FEATURES = {
    "starttls": f"<starttls xmlns='{client.TLS[1:-1]}'><required/></starttls>",
    "EXTERNAL": f"<mechanisms xmlns='{client.SASL_NS}'>"
                "<mechanism>EXTERNAL</mechanism></mechanisms>",
    "dialback": "<dialback xmlns='urn:xmpp:features:dialback'><errors/>"
                "</dialback>",
    "old-dialback": "<dialback xmlns='urn:xmpp:features:dialback'/>",
    "bidi": "<bidi xmlns='urn:xmpp:features:bidi'/>",
    "sm": f"<sm xmlns='{peers.SM[1:-1]}'/>",
    "limits": "<limits xmlns='urn:xmpp:stream-limits:0'>"
              "<max-bytes>10000</max-bytes></limits>",
}


class Federation:
    def peer(self, name):
        if name not in self.peers:
            raise Failed(f"there is no peer {name}")
        return self.peers[name]

    def link(self, who):
        stream = self.stream(who)
        if not isinstance(stream, peers.Link):
            raise Failed(f"{who} is no stream of a peer")
        return stream

    # --- the peer connects ---------------------------------------------

    @step(rf"(\w+) opens( direct)? as (\w+){WITH}")
    def peer_opens(self, who, direct, name, kind):
        peer, options = self.peer(name), self.options
        certificate = self.foreign.certificate(peer.domain, kind)
        link = peers.Link.dial(
            options.s2s_tls if direct else options.s2s, self.log_for(who),
            options.timeout, peer)
        alpn = "xmpp-server" if direct else None
        link.context = self.foreign.client_context(certificate, alpn)
        self.streams[who] = link
        if direct:
            link.start_tls(link.context, options.domain)

    @step(rf"(\w+) joins( direct)? as (\w+){WITH}")
    def joins(self, who, direct, name, kind):
        """All that comes before the first stanza, with SASL EXTERNAL."""
        self.peer_opens(who, direct, name, kind)
        link, host = self.link(who), self.options.domain
        client.start_stream(link, host)
        if not direct:
            self.dialer.start_tls(link, host)
            client.start_stream(link, host)
        self.authenticates_by_external(who, None)
        client.start_stream(link, host)
        link.ready = True

    @step(r"(\w+) starts stream from (\S+) to (\S+)")
    def starts_stream_from(self, who, domain, to):
        """A response header or an error may follow."""
        self.link(who).start_stream(self.variables.expand(to),
                                    self.variables.expand(domain))

    @step(r"(\w+) authenticates by EXTERNAL(?: as (\S+))?")
    def authenticates_by_external(self, who, name):
        link = self.link(who)
        wish = self.variables.expand(name) if name else link.peer.domain
        link.send(f"<auth xmlns='{client.SASL_NS}' mechanism='EXTERNAL'>"
                  f"{sasl.encode(wish.encode())}</auth>")
        client.expect(link, client.SASL + "success")

    @step(r"(\w+) sends (a wrong|the) dialback key(?: of (\w+))?"
          r"(?: to (\S+))?")
    def sends_key(self, who, which, name, to):
        """It is {WHO.key} from now on."""
        link = self.link(who)
        peer = self.peer(name) if name else link.peer
        to = self.variables.expand(to or "{host}")
        key = peers.key_of(peer.secret, to, peer.domain,
                           link.id if which == "the" else "another")
        self.variables[who + ".key"] = key
        link.send(f"<db:result from='{peer.domain}' to='{to}'>{key}"
                  "</db:result>")
        link.ready = True

    # --- the server connects -------------------------------------------

    def accepted(self, who, name, direct, seconds=None):
        sock = self.peer(name).accept(
            direct, self.options.timeout if seconds is None else seconds)
        if sock is None:
            raise Failed("the server did not connect")
        return self.taken(who, name, sock)

    def taken(self, who, name, sock):
        link = peers.Link(sock, self.log_for(who), self.options.timeout,
                          self.peer(name))
        self.streams[who] = link
        return link

    @step(r"(\w+) accepts at (\w+)")
    def accepts(self, who, name):
        self.accepted(who, name, False)

    @step(rf"(\w+) accepts direct at (\w+){WITH}")
    def accepts_direct(self, who, name, kind):
        self.accepted(who, name, True)
        self.handshake(who, kind)

    @step("nobody connects to (\\w+)")
    def nobody_connects(self, name):
        time.sleep(self.options.settle)
        if self.peer(name).accept(False, self.options.quiet) is not None:
            raise Failed("the server connected")

    def handshake(self, who, kind):
        """With what the server may refuse, the stream just ends."""
        link = self.link(who)
        certificate = self.foreign.certificate(link.peer.domain,
                                               kind or "good")
        try:
            link.be_tls_server(self.foreign.server_context(certificate))
        except OSError as err:
            if kind is None:
                raise
            link.log.append(("no TLS", str(err).encode()))
            link.queue.append(("eof", None))
            link.close()

    @step(rf"(\w+) accepts tls{WITH}")
    def accepts_tls(self, who, kind):
        link = self.link(who)
        client.expect(link, STARTTLS)
        link.send(f"<proceed xmlns='{client.TLS[1:-1]}'/>")
        self.handshake(who, kind)

    @step(r"(\w+) answers stream(?: offering ([\w -]+))?")
    def answers_stream(self, who, offers):
        """Takes the header unless it was, sends one and features."""
        link = self.link(who)
        if link.header is None or link.header is link.answered:
            event = link.next()
            if event is None or event[0] != "stream":
                raise Failed(f"got {client.say(event)}")
            link.header = event[1]
        words = (offers or "").split()
        link.answer_stream("dialback" in words or "old-dialback" in words)
        link.send("<stream:features>" +
                  "".join(FEATURES[each] for each in words)
                  + "</stream:features>")

    @step(rf"(\w+) welcomes( direct)? at (\w+)(?: offering ([\w -]+?))?{WITH}")
    def welcomes(self, who, direct, name, offers, kind):
        """All that comes before the first stanza; by EXTERNAL, if nothing
        else is offered."""
        self.accepted(who, name, bool(direct))
        if direct:
            self.handshake(who, kind)
        offers = (offers or "EXTERNAL dialback").split()
        self.negotiate(who, offers, kind, self.stanzas_may_come)

    @step(r"(\w+) verifies at (\w+)"
          "(?:, saying (error|nothing|another id|invalid))?")
    def verifies(self, who, name, words):
        """A new connection or an old one brings a request, which is
        answered."""
        deadline = time.monotonic() + self.options.timeout
        while time.monotonic() < deadline:
            sock = self.peer(name).accept(False, TURN_S)
            if sock is not None:
                self.taken(who, name, sock).words = words
                self.negotiate(who, ["dialback"], None,
                               lambda _link, tag: tag == VERIFY)
                return
            for link in self.links_to(self.peer(name).address):
                link.pump(0)
                if link.queue and link.queue[0][0] == "element" and \
                        link.queue[0][1].tag == VERIFY:
                    self.streams[who], link.words = link, words
                    self.answer_verify(link, link.queue.popleft()[1])
                    return
        raise Failed("the server did not ask")

    def links_to(self, address):
        """The connections that the server made there."""
        return [each for each in self.streams.values()
                if isinstance(each, peers.Link) and each.own_id and
                not each.ended and each.peer.address == address]

    @staticmethod
    def stanzas_may_come(link, tag):
        return tag == RESULT or tag == "header" and link.ready

    def negotiate(self, who, offers, kind, is_done):
        """Plays the receiving server until `is_done`."""
        link = self.link(who)
        while True:
            event = link.next()
            if event and event[0] == "stream":
                link.header, tag = event[1], "header"
                link.answer_stream("dialback" in offers or
                                   "old-dialback" in offers)
                self.send_features(link, offers)
            elif event and event[0] == "element":
                tag = event[1].tag
                self.respond(who, event[1], kind)
            else:
                raise Failed(f"{who} got {client.say(event)}")
            if is_done(link, tag):
                if tag != VERIFY:
                    link.ready = True
                return

    @staticmethod
    def send_features(link, offers):
        now = ["sm"] if link.ready else ["starttls"] if link.tls is None \
            and "plain" not in offers else \
            [each for each in offers if each != "sm"]
        link.send("<stream:features>" + "".join(
            FEATURES[each] for each in now
            if each in offers or each == "starttls") + "</stream:features>")

    def respond(self, who, element, kind):
        link = self.link(who)
        if element.tag == STARTTLS:
            link.send(f"<proceed xmlns='{client.TLS[1:-1]}'/>")
            self.handshake(who, kind)
        elif element.tag == client.SASL + "auth":
            link.send(f"<success xmlns='{client.SASL_NS}'/>")
            link.reader.restart()
            link.ready = True
        elif element.tag == BIDI:
            link.bidi = True
        elif element.tag == RESULT:
            self.answer_dialback(link, element, "valid")
        elif element.tag == VERIFY:
            self.answer_verify(link, element)
        else:
            raise Failed(f"{who} got {client.show(element)}")

    def answer_verify(self, link, element):
        wanted = peers.key_of(self.peer_of(element.get("to")).secret,
                              element.get("from"), element.get("to"),
                              element.get("id"))
        if link.words == "nothing":
            link.close()
            return
        if link.words == "another id":
            element.set("id", "another")
        self.answer_dialback(
            link, element, link.words if link.words in ("error", "invalid")
            else "valid" if (element.text or "").strip() == wanted
            else "invalid")

    def peer_of(self, domain):
        for each in self.peers.values():
            if each.domain == domain:
                return each
        raise Failed(f"there is no peer {domain}")

    @staticmethod
    def answer_dialback(link, element, kind):
        word = element.tag.rpartition("}")[2]
        same = f" id='{element.get('id')}'" if element.get("id") else ""
        link.send(f"<db:{word} from='{element.get('to')}' "
                  f"to='{element.get('from')}'{same} type='{kind}'>" + (
                      "<error type='cancel'><item-not-found "
                      f"xmlns='{STANZAS}'/></error>"
                      if kind == "error" else "") + f"</db:{word}>")

    @step(r"(\w+) enables acks")
    def enables_acks(self, who):
        """Answers the server's <enable/>, and from then on its <r/>."""
        link = self.link(who)
        client.expect(link, peers.SM + "enable")
        link.send(f"<enabled xmlns='{peers.SM[1:-1]}'/>")
        link.counts, link.handled = True, 0

    @step(r"(\w+) starts over")
    def starts_over(self, who):
        """What comes next is a new stream, the last one."""
        self.link(who).reader.restart()
        self.link(who).ready = True

    # --- what is seen ---------------------------------------------------

    @step(r"(\w+) receives no stanza")
    def receives_no_stanza(self, who):
        """Whatever else comes; nothing of it is answered."""
        link = self.link(who)
        deadline = time.monotonic() + 2 * self.options.quiet
        while (left := deadline - time.monotonic()) > 0:
            event = link.next(left)
            if event and event[0] == "element" and \
                    event[1].tag in peers.STANZAS:
                raise Failed(f"got {client.show(event[1])}")
            if event and event[0] == "eof":
                return

    @step(r"(\w+) is not let in")
    def is_not_let_in(self, who):
        """Neither by SASL nor by dialback, whatever comes."""
        while event := self.link(who).next(self.options.quiet):
            if event[0] == "eof":
                return
            if event[0] == "element" and \
                    (event[1].tag == client.SASL + "success" or
                     event[1].tag == RESULT and
                     event[1].get("type") == "valid"):
                raise Failed(f"got {client.show(event[1])}")

    @step(r"(\w+) was asked for (\S+)")
    def was_asked_for(self, who, name):
        """The server name indication of TLS."""
        seen = self.link(who).server_name
        if seen != self.variables.expand(name):
            raise Failed(f"it was {seen}")

    @step(r"(\S+) is hexadecimal")
    def is_hexadecimal(self, text):
        value = self.variables.expand(text)
        if not re.fullmatch("([0-9a-f]{2})+", value):
            raise Failed(f"it is {value}")
