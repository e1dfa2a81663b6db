"""A component that comes and goes, servers that are none, nobody at all, an
administrator."""

import asyncio
import hashlib
import os

from people import anyone
from site_ import SECRET
from wire import TROUBLE, Wire, between

SM = "urn:xmpp:sm:3"
COMMANDS = (("kick",), ("disable",), ("enable",), ("enable",), ("deluser",))
LOOKS = (("sessions",), ("s2s",), ("status",), ("users",))


async def again(dice, seconds, what):
    while True:
        await asyncio.sleep(dice.random() * seconds)
        try:
            await what()
        except TROUBLE:
            pass


# --- a component (XEP-0114) -------------------------------------------------

def announcement(dice, site):
    to = dice.choice(site.users() + site.other.users())
    name = site.component
    return dice.choice((
        f"<message from='x@{name}' to='{to}' type='chat'><body>c</body>"
        "</message>", f"<presence from='x@{name}/r' to='{to}'/>",
        f"<presence from='x@{name}' to='{to}' type='subscribe'/>",
        f"<iq from='{name}' to='{to}' type='get' id='1'>"
        "<query xmlns='jabber:iq:version'/></iq>"))


def reply(dice, site, asked):
    """To the first iq in it, with what asks for nothing more."""
    iq = asked.partition("<iq")[2].partition(">")[0]
    return (f"<iq type='{dice.choice(('result', 'error'))}' "
            f"id='{between(iq, ' id=' + chr(39), chr(39))}' "
            f"from='{site.component}' "
            f"to='{between(iq, 'from=' + chr(39), chr(39))}'/>")


async def component(dice, site):
    async def come():
        async with Wire(site.ports["components"]) as wire:
            wire.open("jabber:component:accept", site.component)
            stream_id = between(await wire.until(" id='"), " id='", "'")
            proof = hashlib.sha1((stream_id + SECRET).encode()).hexdigest()
            wire.say(f"<handshake>{proof}</handshake>")
            await wire.until("<handshake")
            for _ in range(dice.randint(1, 60)):
                wire.say(announcement(dice, site))
                came = await wire.hear(dice.random() * 0.5)
                if "<iq" in came and dice.random() < 0.5:
                    wire.say(reply(dice, site, came))

    await again(dice, 2, come)


# --- servers that prove nothing -----------------------------------------------

def pretence(dice, domain, host):
    pair = f"from='{domain}' to='{host}'"
    return dice.choice((
        f"<db:result {pair}>key</db:result>",
        f"<db:verify {pair} id='1'>key</db:verify>",
        f"<db:result {pair} type='valid'/>",
        f"<db:verify {pair} id='1' type='valid'/>",
        f"<message from='a@{domain}' to='u0@{host}'/>",
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        "<bidi xmlns='urn:xmpp:bidi'/>",
        f"<enable xmlns='{SM}' resume='true'/>",
        f"<resume xmlns='{SM}' previd='1' h='0'/>"))


async def server(dice, site):
    async def come():
        host = dice.choice(site.hosts)
        domain = dice.choice((*site.other.hosts, "evil.test"))
        async with Wire(site.ports["s2s"]) as wire:
            wire.open("jabber:server", f"{host}' from='{domain}")
            await wire.hear(1)
            for _ in range(dice.choice((1, 3))):
                wire.say(pretence(dice, domain, host))
            await wire.hear(dice.random() * 3)

    await again(dice, 1, come)


# --- whoever finds a port -----------------------------------------------------

def noise_of(dice, site):
    host = dice.choice((*site.hosts, site.component, "evil.test"))
    return dice.choice((
        os.urandom(dice.choice((1, 50, 5000))), b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"<", b"<?xml version='1.0'?>", b"<!DOCTYPE a>", b"<a " * 2000,
        b"<a>" * 500, b"</stream:stream>", b"\xff\xfe<\0a\0",
        b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' "
        b"xmlns='jabber:client' version='1.0' to='%s'>" % host.encode(),
        b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' "
        b"xmlns='jabber:server' to='%s' from='a'>" % host.encode(),
        b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" * 2,
        b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='%s'>"
        b"biwsbj11MCxyPTE=</auth>" % dice.choice(
            (b"SCRAM-SHA-1", b"SCRAM-SHA-256-PLUS", b"EXTERNAL", b"PLAIN")),
        b"<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>YQ==</response>",
        b"<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"))


async def noise(dice, site):
    async def come():
        listener = dice.choice(list(site.ports))
        how = {"ssl": anyone, "server_hostname": dice.choice(site.hosts)} \
            if "tls" in listener and dice.random() < 0.7 else {}
        async with Wire(site.ports[listener], **how) as wire:
            for _ in range(dice.randint(1, 12)):
                wire.writer.write(noise_of(dice, site))
                await wire.hear(dice.random() * 0.2)

    await again(dice, 0.5, come)


# --- an administrator ---------------------------------------------------------

async def administrator(dice, site):
    async def act():
        if not site.is_ready:
            return
        if dice.random() < 0.7:
            site.write_wild()
            site.reload()
        elif dice.random() < 0.5:
            await site.admin(*dice.choice(COMMANDS), dice.choice(site.users()))
        elif dice.random() < 0.5:
            await site.admin(*dice.choice(LOOKS))
        else:
            await asyncio.wait_for(
                site.admin("s2s", "check", dice.choice(site.other.hosts)), 5)

    await again(dice, 2, act)
