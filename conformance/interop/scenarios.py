"""What a person does with a client in their first days, played by each.

`client` is the client under test, `friend` its contact. Every step is seen
from both sides: what one did, the other's inbox must show.
"""

import contextlib

from inbox import Missing


def login(client, friend):
    client.login()
    client.inbox.expect("online")
    friend.login()
    friend.inbox.expect("online")


def roster(client, friend):
    """Add, approve, and the same back: both see each other at last."""
    me, other = client.account.jid, friend.account.jid
    client.add(other)
    friend.inbox.expect("subscribe", me)
    friend.approve(me)
    client.inbox.expect("presence", other, "available")
    friend.inbox.expect("roster", me, "from")
    friend.add(me)
    client.approve(other)
    friend.inbox.expect_all([("roster", me, "both"),
                             ("presence", me, "available")])


def presence(client, friend):
    me, other = client.account.jid, friend.account.jid
    client.show("away")
    friend.inbox.expect("presence", me, "away")
    client.show("available")
    friend.inbox.expect("presence", me, "available")
    friend.logout()
    client.inbox.expect("presence", other, "unavailable")
    friend.login()
    friend.inbox.expect("presence", me, "available")
    client.inbox.expect("presence", other, "available")


def chat(client, friend):
    me, other = client.account.jid, friend.account.jid
    client.send(other, "art thou not Romeo")
    friend.inbox.expect("message", me, "art thou not Romeo")
    friend.send(me, "neither, fair saint & <maid>")
    client.inbox.expect("message", other, "neither, fair saint & <maid>")


def offline(client, friend):
    """Each finds, on coming back, what the other wrote meanwhile."""
    me, other = client.account.jid, friend.account.jid
    client.logout()
    friend.inbox.expect("presence", me, "unavailable")
    friend.send(me, "wherefore art thou")
    client.login()
    client.inbox.expect("message", other, "wherefore art thou")
    friend.logout()
    client.inbox.expect("presence", other, "unavailable")
    client.send(other, "here I am")
    friend.login()
    friend.inbox.expect("message", me, "here I am")


def reconnect(client, friend):
    """The network fails under the client, which comes back by itself; nothing
    written meanwhile is lost."""
    me, other = client.account.jid, friend.account.jid
    client.inbox.clear()
    client.stage.proxy.cut()
    with contextlib.suppress(Missing):  # where a session outlives its stream
        friend.inbox.expect("presence", me, "unavailable", timeout=2)
    friend.send(me, "parting is such sweet sorrow")
    client.stage.proxy.wait(connected=True)
    client.inbox.expect("message", other, "parting is such sweet sorrow")
    chat(client, friend)


def carbons(client, friend):
    """Another device of the user sees both sides, once; and the client what
    the user says there."""
    me, other = client.account.jid, friend.account.jid
    # Of less priority, so that it sees nothing but copies.
    with contextlib.closing(client.device(-1)) as device:
        device.login()
        device.inbox.expect("online")
        client.send(other, "what light is that")
        friend.inbox.expect("message", me, "what light is that")
        device.inbox.expect("message", "me", "what light is that")
        friend.send(me, "it is the east")
        client.inbox.expect("message", other, "it is the east")
        device.inbox.expect("message", other, "it is the east")
        device.send(other, "it is my lady")
        friend.inbox.expect("message", me, "it is my lady")
        client.inbox.expect("message", "me", "it is my lady")
        for inbox in (client.inbox, device.inbox):
            if any(event[0] == "message" for event in inbox.seen):
                raise Missing(f"{inbox.name} saw more: {inbox.seen}")
        device.logout()


def catch_up(client, friend):
    """Away while a conversation went on elsewhere, it finds both sides of it
    on coming back, each message once."""
    me, other = client.account.jid, friend.account.jid
    client.logout()
    friend.inbox.expect("presence", me, "unavailable")
    with contextlib.closing(client.device(1)) as device:
        device.login()
        device.inbox.expect("online")
        friend.send(me, "swear not by the moon")
        device.inbox.expect("message", other, "swear not by the moon")
        device.send(other, "what shall I swear by")
        friend.inbox.expect("message", me, "what shall I swear by")
        friend.send(me, "do not swear at all")
        device.inbox.expect("message", other, "do not swear at all")
        device.logout()
    friend.inbox.expect("presence", me, "unavailable")
    friend.send(me, "sweet, good night")
    missed = [(other, "swear not by the moon"), ("me", "what shall I swear by"),
              (other, "do not swear at all"), (other, "sweet, good night")]
    client.inbox.clear()
    client.login()
    client.inbox.await_all([("message", *each) for each in missed])
    friend.inbox.expect("presence", me, "available")
    friend.send(me, "a thousand times")
    came = client.inbox.messages(other, "a thousand times")
    if sorted(came) != sorted(missed):
        raise Missing(f"{client.name} saw {came}")


def resume(client, friend):
    """The socket is cut, the session goes on: nobody sees it leave, and what
    was said meanwhile comes once, in order."""
    me, other = client.account.jid, friend.account.jid
    chat(client, friend)
    client.inbox.clear()
    friend.inbox.clear()
    client.stage.proxy.cut()
    friend.send(me, "parting is")
    friend.send(me, "such sweet sorrow")
    client.stage.proxy.wait(connected=True)
    client.inbox.await_all(
        [("resumed",), ("message", other, "such sweet sorrow")])
    client.send(other, "sleep dwell upon thine eyes")
    friend.inbox.await_all([("message", me, "sleep dwell upon thine eyes")])
    friend.send(me, "good night")
    came = client.inbox.messages(other, "good night")
    wanted = [(other, "parting is"), (other, "such sweet sorrow")]
    if [each for each in came if each[0] != "me"] != wanted:
        raise Missing(f"{client.name} saw {came}")
    if ("presence", me, "unavailable") in friend.inbox.seen:
        raise Missing(f"{friend.inbox.name} saw {friend.inbox.seen}")


IN_ORDER = (login, roster, presence, chat, offline, reconnect, carbons,
            catch_up, resume)
