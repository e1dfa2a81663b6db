"""What two people on two servers do with each other."""

import time

from acks import Acks
from lab import PATIENCE_S
from servers import fresh_id

from runner import client

NS = "{jabber:client}"
DISCO = "http://jabber.org/protocol/disco#info"


class Lost(Exception):
    """Something did not come."""


def answer_pings(stream):
    """From now on, whenever something is read."""
    pump = stream.pump

    def is_ping(event):
        return event[0] == "element" and event[1].get("type") == "get" and \
            event[1].find("{urn:xmpp:ping}ping") is not None

    def pump_and_answer(seconds):
        came = pump(seconds)
        for event in [each for each in stream.queue if is_ping(each)]:
            stream.queue.remove(event)
            stream.send(f"<iq type='result' id='{event[1].get('id')}' "
                        f"to='{event[1].get('from')}'/>")
        return came

    stream.pump = pump_and_answer


def take_all(stream, look):
    """What that makes of the events that came, in order; those that it makes
    nothing of stay."""
    kept, found = [], []
    for event in stream.queue:
        seen = look(event)
        if seen is None:
            kept.append(event)
        else:
            found.append(seen)
    stream.queue.clear()
    stream.queue.extend(kept)
    return found


class Person:
    """An account on a server, and its stream when it is online; if it wants
    acks, with stream management."""

    def __init__(self, server, name, host, wants_acks=False):
        self.server = server
        self.wants_acks, self.acks = wants_acks, None
        self.account = server.account(name, host)
        self.jid = self.account.jid
        self.stream = None

    def come(self):
        self.stream = self.server.login(self.account)
        self.acks = Acks(self.stream) if self.wants_acks else None
        answer_pings(self.stream)
        self.ask("", "<query xmlns='jabber:iq:roster'/>", "get")
        self.stream.send("<presence/>")
        self.wait("presence", self.stream.jid)

    def leave(self):
        self.stream.send("<presence type='unavailable'/></stream:stream>")
        self.stream.take(lambda event: event[0] in ("close", "eof"))
        self.stream.close()
        self.stream = None

    def rest(self, seconds):
        """Does nothing but what every client does by itself."""
        end = time.monotonic() + seconds
        while self.is_online() and time.monotonic() < end:
            self.stream.pump(max(end - time.monotonic(), 0))
        time.sleep(max(end - time.monotonic(), 0))

    def prove(self):
        """Shows its server that it has what came: its program took it when
        it speaks after its system had acknowledged that."""
        for _ in range(2):
            self.expect("", "<ping xmlns='urn:xmpp:ping'/>")

    def is_online(self):
        return self.stream is not None and not self.stream.ended

    def wait(self, kind, sender, wanted=lambda _element: True,
             seconds=PATIENCE_S):
        """The next stanza of that kind from that address (bare: any of its
        resources) that is wanted; others stay."""
        def is_it(event):
            if event[0] != "element" or event[1].tag != NS + kind:
                return False
            source = event[1].get("from") or ""
            return (source == sender or source.split("/")[0] == sender) and \
                wanted(event[1])
        event = self.stream.take(is_it, seconds)
        if event is None:
            waiting = [client.say(each) for each in self.stream.queue]
            raise Lost(f"{self.jid} got no such {kind} from {sender}; "
                       f"it got {waiting[-4:]}")
        return event[1]

    def wait_type(self, kind, sender, stanza_type, seconds=PATIENCE_S):
        return self.wait(kind, sender, lambda element:
                         element.get("type") == stanza_type, seconds)

    def presence(self, to, stanza_type):
        self.stream.send(f"<presence to='{to}' type='{stanza_type}'/>")

    def say(self, to, body):
        ident = fresh_id()
        self.stream.send(f"<message to='{to}' type='chat' id='{ident}'>"
                         f"<body>{body}</body></message>")
        return ident

    def hear(self, sender, body, seconds=PATIENCE_S):
        return self.wait("message", sender, lambda element:
                         element.findtext(NS + "body") == body, seconds)

    def ask(self, to, payload, stanza_type="get"):
        ident = fresh_id()
        where = f" to='{to}'" if to else ""
        answer = self.stream.ask(
            ident, f"<iq type='{stanza_type}' id='{ident}'{where}>"
            f"{payload}</iq>")
        if answer is None:
            raise Lost(f"{self.jid} got no answer from {to} to {payload}")
        return answer

    def expect(self, to, payload):
        answer = self.ask(to, payload)
        if answer.get("type") != "result":
            raise Lost(f"{to} answered {client.show(answer)}")
        return answer


def befriend(one, other):
    """RFC 6121, section 3.1; presence follows."""
    for asker, giver in ((one, other), (other, one)):
        asker.presence(giver.jid, "subscribe")
        giver.wait_type("presence", asker.jid, "subscribe")
        giver.presence(asker.jid, "subscribed")
        asker.wait_type("presence", giver.jid, "subscribed")
        asker.wait_type("presence", giver.jid, None)


def chat(one, other):
    bodies = [f"{fresh_id()} {count}" for count in range(5)]
    for body in bodies:
        one.say(other.jid, body)
    for body in bodies:
        got = other.wait("message", one.jid, lambda element:
                         element.findtext(NS + "body") is not None)
        if got.findtext(NS + "body") != body:
            raise Lost(f"wanted {body}, got {client.show(got)}")


def version(person, domain):
    """What that server says it is (XEP-0092)."""
    answer = person.expect(domain, "<query xmlns='jabber:iq:version'/>")
    words = [answer.findtext(f".//{{jabber:iq:version}}{name}")
             for name in ("name", "version")]
    if not all(words):
        raise Lost(f"{domain} told {client.show(answer)}")
    return " ".join(words)


def question(one, other):
    """Iqs to the other's server, account and client."""
    host = other.account.host
    answer = one.expect(host, f"<query xmlns='{DISCO}'/>")
    if answer.find(f"{{{DISCO}}}query/{{{DISCO}}}identity") is None:
        raise Lost(f"{host} told {client.show(answer)}")
    version(one, host)
    one.expect(host, "<ping xmlns='urn:xmpp:ping'/>")
    other.stream.ask("card", "<iq type='set' id='card'><vCard "
                     f"xmlns='vcard-temp'><FN>{other.jid}</FN></vCard></iq>")
    card = one.expect(other.jid, "<vCard xmlns='vcard-temp'/>")
    if card.findtext("{vcard-temp}vCard/{vcard-temp}FN") != other.jid:
        raise Lost(f"{other.jid} has the card {client.show(card)}")


def to_client(one, other):
    """An iq that the other's client answers."""
    ident = fresh_id()
    one.stream.send(f"<iq type='get' id='{ident}' to='{other.stream.jid}'>"
                    "<query xmlns='jabber:iq:version'/></iq>")
    asked = other.wait("iq", one.jid, lambda element:
                       element.get("id") == ident)
    other.stream.send(f"<iq type='result' id='{ident}' "
                      f"to='{asked.get('from')}'><query "
                      "xmlns='jabber:iq:version'><name>lab</name></query>"
                      "</iq>")
    one.wait("iq", other.jid, lambda element: element.get("id") == ident)


def offline(one, other):
    """What was said while the other was away is there when it comes."""
    other.leave()
    one.wait_type("presence", other.jid, "unavailable")
    body = fresh_id()
    one.say(other.jid, body)
    one.expect(other.account.host, "<ping xmlns='urn:xmpp:ping'/>")
    other.come()
    if other.hear(one.jid, body).find("{urn:xmpp:delay}delay") is None:
        raise Lost("a message kept offline bears no time")
    one.wait_type("presence", other.jid, None)


def converse(one, other):
    """All of it; one's server is the first to connect."""
    one.come()
    other.come()
    befriend(one, other)
    for asker, asked in ((one, other), (other, one)):
        chat(asker, asked)
        question(asker, asked)
        to_client(asker, asked)
    offline(one, other)
    offline(other, one)
    one.leave()
    other.wait_type("presence", one.jid, "unavailable")
    other.leave()
