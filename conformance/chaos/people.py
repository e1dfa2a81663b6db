"""Clients that say anything."""

import asyncio
import base64
import ssl

from site_ import SECRET, USERS
from wire import TROUBLE, Wire, between

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
SM = "urn:xmpp:sm:3"
MAM = "urn:xmpp:mam:2"
RESOURCES = ("a", "b", "c")
ASKED = ("query xmlns='jabber:iq:version'", "query xmlns='jabber:iq:last'",
         "query xmlns='http://jabber.org/protocol/disco#info'",
         "query xmlns='http://jabber.org/protocol/disco#items'",
         "vCard xmlns='vcard-temp'", "ping xmlns='urn:xmpp:ping'")

anyone = ssl.create_default_context()
anyone.check_hostname = False
anyone.verify_mode = ssl.CERT_NONE


async def settle(site):
    for user in site.users():
        await site.admin("adduser", user, "--password-stdin",
                         says=SECRET.encode() + b"\n")


# --- what they say --------------------------------------------------------

def message(dice, to, _site):
    kind = dice.choice(("chat", "normal", "headline", "groupchat"))
    body = "x" * dice.choice((1, 100, 9000))
    text = (f"<message to='{to}' type='{kind}' id='{dice.randrange(99)}'>"
            f"<body>{body}</body><request xmlns='urn:xmpp:receipts'/>"
            "</message>")
    return text * dice.choice((1, 1, 1, 30))


def presence(dice, to, _site):
    kind = dice.choice(("subscribe", "subscribed", "unsubscribe",
                        "unsubscribed", "probe", "unavailable"))
    return dice.choice((
        f"<presence to='{to}' type='{kind}'/>", f"<presence to='{to}'/>",
        "<presence type='unavailable'/>", "<presence/>",
        f"<presence><priority>{dice.randint(-2, 5)}</priority></presence>"))


def question(dice, to, site):
    asked = dice.choice((to, to.partition("@")[2], site.component))
    return (f"<iq type='get' id='{dice.randrange(99)}' to='{asked}'>"
            f"<{dice.choice(ASKED)}/></iq>")


def own(dice, to, site):
    """Of one's own account."""
    service = dice.choice((site.component, site.other.hosts[0]))
    content = dice.choice((
        f"<query xmlns='jabber:iq:roster'><item jid='{to}'/></query>",
        f"<query xmlns='jabber:iq:roster'><item jid='{to}' "
        "subscription='remove'/></query>",
        f"<query xmlns='{MAM}'><set xmlns='http://jabber.org/protocol/rsm'>"
        f"<max>{dice.choice((0, 5, 50))}</max><before/></set></query>",
        f"<query xmlns='{MAM}'><x xmlns='jabber:x:data' type='submit'><field "
        f"var='FORM_TYPE'><value>{MAM}</value></field><field var='"
        f"{dice.choice(('with', 'withtext', '{urn:xmpp:fulltext:0}fulltext'))}"
        f"'><value>{to}</value></field></x></query>",
        f"<prefs xmlns='{MAM}' default='"
        f"{dice.choice(('always', 'never', 'roster'))}'/>",
        "<enable xmlns='urn:xmpp:carbons:2'/>",
        "<disable xmlns='urn:xmpp:carbons:2'/>",
        f"<block xmlns='urn:xmpp:blocking'><item jid='{to}'/></block>",
        f"<unblock xmlns='urn:xmpp:blocking'><item jid='{to}'/></unblock>",
        f"<vCard xmlns='vcard-temp'><FN>{dice.random()}</FN></vCard>",
        "<query xmlns='jabber:iq:private'>"
        f"<a xmlns='n{dice.randint(0, 3)}'/></query>",
        f"<enable xmlns='urn:xmpp:push:0' jid='{service}' "
        f"node='{dice.randint(0, 3)}'/>",
        f"<disable xmlns='urn:xmpp:push:0' jid='{service}'/>",
        "<query xmlns='jabber:iq:register'><username>u0</username><password>"
        f"{SECRET}</password></query>",
        "<query xmlns='jabber:iq:register'><remove/></query>"
        if dice.random() < 0.1 else "<query xmlns='jabber:iq:roster'/>"))
    kind = "get" if content == "<query xmlns='jabber:iq:roster'/>" else "set"
    return f"<iq type='{kind}' id='{dice.randrange(99)}'>{content}</iq>"


def other(dice, to, _site):
    return dice.choice((
        "<active xmlns='urn:xmpp:csi:0'/>",
        "<inactive xmlns='urn:xmpp:csi:0'/>", f"<r xmlns='{SM}'/>", " ",
        f"<message to='{to}' type='chat'><retract id='1' "
        "xmlns='urn:xmpp:message-retract:1'/></message>"))


SAYINGS = (message, message, presence, question, own, own, other)


def anything(dice, site):
    to = dice.choice(site.users() + site.other.users())
    if dice.random() < 0.3:
        to += "/" + dice.choice(RESOURCES)
    return dice.choice(SAYINGS)(dice, to, site)


# --- one session after the other ------------------------------------------

class Client:
    def __init__(self, dice, site):
        self.dice, self.site = dice, site
        self.user, self.host = None, None
        self.sm_id, self.handled = None, 0

    async def log_in(self, wire):
        """False when there is no such account: then one is asked for."""
        wire.open("jabber:client", self.host)
        await wire.until("</stream:features>")
        proof = base64.b64encode(f"\0{self.user}\0{SECRET}".encode()).decode()
        wire.say(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{proof}</auth>")
        if "<success" in await wire.until("<success", "<failure"):
            wire.open("jabber:client", self.host)
            await wire.until("</stream:features>")
            return True
        self.sm_id = None
        wire.say("<iq type='set' id='r'><query xmlns='jabber:iq:register'>"
                 f"<username>{self.user}</username><password>{SECRET}"
                 "</password></query></iq>")
        await wire.until("id='r'")
        return False

    async def resume(self, wire):
        """Now and then with a number that is wrong."""
        h = self.dice.choice((0, *[self.handled] * 4, self.handled + 1))
        wire.say(f"<resume xmlns='{SM}' previd='{self.sm_id}' h='{h}'/>")
        return "<resumed" in await wire.until("<resumed", "<failed")

    async def bind(self, wire):
        self.sm_id, self.handled = None, 0
        resource = self.dice.choice(("", *RESOURCES))
        named = f"<resource>{resource}</resource>" if resource else ""
        wire.say("<iq type='set' id='b'>"
                 "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                 f"{named}</bind></iq>")
        if "<jid>" not in await wire.until("id='b'"):
            raise EOFError
        if self.dice.random() < 0.7:
            wire.say(f"<enable xmlns='{SM}' resume='true'/>")
            came = await wire.until("<enabled", "<failed")
            self.sm_id = between(came.partition("<enabled")[2], " id='", "'")
        if self.dice.random() < 0.9:
            wire.say("<presence/>")

    async def talk(self, wire):
        dice = self.dice
        for _ in range(dice.randint(1, 60)):
            wire.say("".join(anything(dice, self.site)
                             for _ in range(dice.choice((1, 1, 1, 5)))))
            came = await wire.hear(dice.random() * 0.2)
            self.handled += sum(came.count(f"<{name}") for name in
                                ("message", "presence", "iq"))
            if "<r " in came and dice.random() < 0.5:
                wire.say(f"<a xmlns='{SM}' h='{self.handled}'/>")
            if dice.random() < 0.01:
                wire.say("<messa")
                return
        if dice.random() < 0.3:
            self.sm_id = None
            wire.say("</stream:stream>")
            await wire.hear(1)

    async def come(self):
        if not self.sm_id or self.dice.random() < 0.3:
            self.user = f"u{self.dice.randrange(USERS)}"
            self.host = self.dice.choice(self.site.hosts)
            self.sm_id = None
        port = self.site.ports["tls"]
        async with Wire(port, ssl=anyone, server_hostname=self.host) as wire:
            if not await self.log_in(wire):
                return
            if not (self.sm_id and await self.resume(wire)):
                await self.bind(wire)
            await self.talk(wire)


async def live(dice, site):
    client = Client(dice, site)
    while True:
        await asyncio.sleep(dice.random() * 0.5)
        try:
            await client.come()
        except TROUBLE:
            pass
