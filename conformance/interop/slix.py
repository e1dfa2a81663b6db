"""slixmpp, in a thread of its own; also everybody's contact.

As a client under test it catches up from the archive before it says that it is
there; as a contact it takes what the server kept for it.
"""

import asyncio
import inspect
import logging
import threading

from inbox import PATIENCE_S, Inbox

logging.disable(logging.CRITICAL)
import slixmpp  # noqa: E402 - it logs while it is imported


class Known:
    """What a client knows of its user's archive, from login to login."""

    def __init__(self):
        self.last, self.ids = None, set()

    def note(self, message, archive_id=None):
        """False if it was here before."""
        self.last = archive_id or message["stanza_id"]["id"] or self.last
        is_new = message["id"] not in self.ids
        self.ids.add(message["id"])
        return is_new


class Stream(slixmpp.ClientXMPP):
    """One login; what happens goes to the inbox. known is None for one that
    does not catch up."""

    def __init__(self, account, server, ca, inbox, priority, known):
        super().__init__(account.jid, account.password)
        self.priority, self.known = priority, known
        self.inbox, self.ca_certs, self.wanted = inbox, ca, True
        self.endpoint = server
        self.auto_authorize = self.auto_subscribe = None
        self.roster.auto_authorize = self.roster.auto_subscribe = None
        for plugin in ("xep_0030", "xep_0199", "xep_0198", "xep_0280",
                       "xep_0313", "xep_0359"):
            self.register_plugin(plugin)
        for event, handler in (
                ("session_start", self.on_start),
                ("session_resumed", self.on_resumed),
                ("disconnected", self.on_disconnected),
                ("message", self.on_message),
                ("carbon_received", self.on_carbon_received),
                ("carbon_sent", self.on_carbon_sent),
                ("roster_update", self.on_roster),
                ("presence_subscribe", self.on_subscribe)):
            self.add_event_handler(event, handler)
        for show in ("available", "away", "dnd", "unavailable"):
            self.add_event_handler("presence_" + show, self.on_presence)

    def open(self):
        if "address" in inspect.signature(self.connect).parameters:
            self.connect(self.endpoint)
        else:  # slixmpp 1.9 and later
            self.connect(*self.endpoint)

    def on_resumed(self, _):
        self.inbox.put("resumed")
        self.inbox.put("online")

    def on_disconnected(self, _):
        self.inbox.put("offline")
        if self.wanted:
            self.open()

    async def on_start(self, _):
        await self.get_roster()
        await self["xep_0280"].enable()
        if self.known is not None and self.known.last is not None:
            await self.catch_up()
        self.send_presence(ppriority=self.priority)
        self.inbox.put("online")

    async def catch_up(self):
        """In small pages, so that there are some."""
        async for each in self["xep_0313"].iterate(
                rsm={"after": self.known.last, "max": 2}):
            result = each["mam_result"]
            message = result["forwarded"]["stanza"]
            if self.known.note(message, result["id"]):
                self.show(message)

    def show(self, message):
        if message["type"] in ("chat", "normal") and message["body"]:
            sender = message["from"].bare
            self.inbox.put(
                "message", "me" if sender == self.boundjid.bare else sender,
                message["body"])

    def on_message(self, message):
        if self.known is not None:
            self.known.note(message)
        self.show(message)

    def on_carbon_received(self, message):
        self.on_message(message["carbon_received"])

    def on_carbon_sent(self, message):
        self.on_message(message["carbon_sent"])

    def on_roster(self, iq):
        for jid, item in iq["roster"]["items"].items():
            self.inbox.put("roster", str(jid), item["subscription"])

    def on_subscribe(self, presence):
        self.inbox.put("subscribe", presence["from"].bare)

    def on_presence(self, presence):
        if presence["from"].bare != self.boundjid.bare:
            self.inbox.put("presence", presence["from"].bare,
                           presence["type"])


class Slixmpp:
    name = "slixmpp"
    scenarios = {"login", "roster", "presence", "chat", "offline",
                 "reconnect", "carbons", "catch_up", "resume"}

    def __init__(self, stage, account, address=None, priority=None):
        self.account, self.stage = account, stage
        self.priority = priority
        self.address = address or stage.proxied
        self.known = None if address else Known()
        self.inbox = Inbox(account.user)
        self.loop = asyncio.new_event_loop()
        self.stream = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(
            asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    def call(self, function):
        """Runs it on the client's loop and waits."""
        async def step():
            return function()
        return asyncio.run_coroutine_threadsafe(step(), self.loop).result(
            PATIENCE_S)

    def connect(self):
        self.stream = Stream(self.account, self.address, self.stage.ca,
                             self.inbox, self.priority, self.known)
        self.stream.loop = self.loop
        self.stream.open()

    def login(self):
        self.call(self.connect)

    def logout(self):
        self.stream.wanted = False
        self.call(lambda: self.stream.disconnect())
        self.inbox.expect("offline")

    def add(self, jid):
        self.call(lambda: self.stream.update_roster(jid, name="a friend"))
        self.call(lambda: self.stream.send_presence_subscription(
            pto=jid, ptype="subscribe"))

    def approve(self, jid):
        self.call(lambda: self.stream.send_presence_subscription(
            pto=jid, ptype="subscribed"))

    def show(self, show):
        self.call(lambda: self.stream.send_presence(
            pshow=None if show == "available" else show))

    def send(self, jid, text):
        def step():
            message = self.stream.make_message(jid, text, mtype="chat")
            if self.known is not None:
                self.known.ids.add(message["id"])
            message.send()
        self.call(step)

    def device(self, priority):
        """Another one of the same user, to be closed by who asked."""
        return Slixmpp(self.stage, self.account, self.stage.server, priority)

    def evidence(self):
        return {}

    def close(self):
        if self.stream is not None:
            self.stream.wanted = False
            self.call(lambda: self.stream.abort())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
