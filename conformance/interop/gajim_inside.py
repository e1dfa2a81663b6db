#!/usr/bin/python3
"""Runs Gajim (1.7 to 2.x) as it is, and drives it from inside, by what its
own windows call. Commands come as lines of JSON, ["send", jid, text]; what
Gajim shows its user leaves the same way, as the events of inbox.py.
"""

import json
import os
import sys
import threading

from gi.repository import GLib
from nbxmpp.protocol import JID

from gajim.common import app
from gajim.common.structs import OutgoingMessage

SHOWN = {"online": "available", "offline": "unavailable"}
FIRST = 1  # before Gajim's own handlers, which may end an event's way
ACCOUNT = "me"


def tell(*event):
    print(json.dumps(event), flush=True)


def bare(jid):
    return str(jid).partition("/")[0]


def told(text, jid, is_mine):
    if text:
        tell("message", "me" if is_mine else bare(jid), text)


def on_message(event):
    if hasattr(event, "message"):  # 2.x: also what was read from the archive
        told(event.message.text, event.jid, event.message.direction == 2)
    else:
        told(event.msgtxt, event.jid, event.properties.is_sent_carbon)


def on_archived(event):
    told(event.msgtxt, event.jid, event.kind.name == "CHAT_MSG_SENT")


def on_presence(event):
    tell("presence", bare(event.jid), SHOWN.get(event.show, event.show))


HANDLERS = {
    "signed-in": lambda _: tell("online"),
    "account-disconnected": lambda _: tell("offline"),
    "message-received": on_message,
    "mam-message-received": on_archived,
    "presence-received": on_presence,
    "subscribe-presence-received":
        lambda event: tell("subscribe", bare(event.jid)),
    "subscription-request": lambda event: tell("subscribe", bare(event.jid)),
    "roster-push": lambda event: tell("roster", bare(event.item.jid),
                                      event.item.subscription),
}


def client():
    return app.get_client(ACCOUNT)


def login():
    client().connection.subscribe("resume-successful",
                                  lambda *_: tell("resumed"))
    client().change_status("online", "")


def logout():
    client().change_status("offline", "")


def show(status):
    client().change_status("online" if status == "available" else status, "")


def add(jid):
    client().get_module("Presence").subscribe(JID.from_string(jid))


def approve(jid):
    client().get_module("Presence").subscribed(JID.from_string(jid))


def send(jid, text):
    contact = client().get_module("Contacts").add_contact(JID.from_string(jid))
    kind = () if hasattr(OutgoingMessage, "__dataclass_fields__") else ("chat",)
    client().send_message(OutgoingMessage(ACCOUNT, contact, text, *kind))


COMMANDS = {command.__name__: command
            for command in (login, logout, show, add, approve, send)}


def obey(line):
    name, *arguments = json.loads(line)
    COMMANDS[name](*arguments)
    return GLib.SOURCE_REMOVE


def listen():
    for line in sys.stdin:
        GLib.idle_add(obey, line)
    GLib.idle_add(app.app.quit)


def begin():
    """Once Gajim has made its window and its account."""
    if getattr(app, "window", None) is None or \
            ACCOUNT not in app.connections:
        return GLib.SOURCE_CONTINUE
    for name, handler in HANDLERS.items():
        # Gajim asks a handler for its __name__, and takes True for the end.
        app.ged.register_event_handler(name, FIRST, handler)
    threading.Thread(target=listen, daemon=True).start()
    tell("ready")
    return GLib.SOURCE_REMOVE


def main():
    try:
        from gajim.main import run
    except ImportError:  # 1.7
        from gajim.gajim import main as run
    # It refuses to run as root, which is who runs tests in a container.
    os.geteuid = lambda: 65534
    GLib.timeout_add(200, begin)
    run()


if __name__ == "__main__":
    main()
