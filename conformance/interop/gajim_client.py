"""Gajim, on a virtual display, driven by gajim_inside.py."""

import json
import os
import sqlite3
import threading

from desktop import Desktop
from driven import Driven
from inbox import PATIENCE_S, Inbox, Missing
from slix import Slixmpp

HERE = os.path.dirname(os.path.abspath(__file__))

# As its first release had it; it brings that up to date by itself.
SETTINGS = """
CREATE TABLE settings (name TEXT UNIQUE, settings TEXT);
CREATE TABLE account_settings (account TEXT UNIQUE, settings TEXT);
INSERT INTO settings VALUES ('soundevents', '{}'), ('status_presets', '{}'),
	('proxies', '{}'), ('plugins', '{}');
"""


class Gajim(Driven):
    name = "gajim"
    scenarios = {"login", "roster", "presence", "chat", "offline",
                 "reconnect", "carbons", "catch_up", "resume"}

    def __init__(self, stage, account):
        self.account, self.stage = account, stage
        self.inbox = Inbox(account.user)
        self.home = os.path.join(stage.folder, "gajim")
        self.desktop = Desktop(self.home)
        self.prepare()
        self.ready = threading.Event()
        self.drive(self.desktop.start, "/usr/bin/python3",
                   HERE + "/gajim_inside.py")

    def prepare(self):
        certificates = self.home + "/.local/share/gajim/cert_store/"
        os.makedirs(certificates)
        os.makedirs(self.home + "/.config/gajim")
        with open(self.stage.ca, encoding="utf-8") as source, \
                open(certificates + "server", "w", encoding="utf-8") as copy:
            copy.write(source.read())
        account = {
            "name": self.account.user, "hostname": self.account.host,
            "password": self.account.password, "resource": "interop",
            "active": True, "autoconnect": False, "use_custom_host": True,
            "custom_host": self.stage.proxied[0],
            "custom_port": self.stage.proxied[1]}
        with sqlite3.connect(
                self.home + "/.config/gajim/settings.sqlite") as settings:
            settings.executescript(SETTINGS)
            settings.execute("INSERT INTO settings VALUES ('app', ?)",
                             [json.dumps({"use_keyring": False})])
            settings.execute(
                "INSERT INTO account_settings VALUES ('me', ?)",
                [json.dumps({"account": account, "contact": {},
                             "group_chat": {}})])

    def line_of(self, words):
        return json.dumps(words)

    def event_of(self, line):
        event = json.loads(line) if line.startswith("[") else ()
        if event == ["ready"]:
            self.ready.set()
        return event

    def login(self):
        if not self.ready.wait(PATIENCE_S):
            raise Missing("Gajim did not start")
        super().login()

    def device(self, priority):
        return Slixmpp(self.stage, self.account, self.stage.server, priority)

    def close(self):
        self.desktop.close()
