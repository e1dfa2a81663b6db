"""Psi, on a virtual display, driven by D-Bus and the keyboard.

Psi says what it sees in two ways: messages go to its history files, and what
it makes a sound for (contacts that come and go) runs a "player" that takes
notes. That it is logged in shows when it reads a letter that waits for it.
"""

import glob
import os
import re
import threading
import time
from urllib.parse import quote

from desktop import Desktop
from herald import Herald
from inbox import PATIENCE_S, Inbox, Missing
from tail import Tail

OPTIONS = """<!DOCTYPE options>
<options xmlns="http://psi-im.org/options" version="1.5"><options>
<subscriptions>
 <automatically-allow-authorization type="bool">true</automatically-allow-authorization>
</subscriptions>
<vcard><query-own-vcard-on-login type="bool">false</query-own-vcard-on-login></vcard>
<ui>
 <tip><show type="bool">false</show></tip>
 <notifications>
  <passive-popups><enabled type="bool">false</enabled></passive-popups>
  <sounds>
   <enable type="bool">true</enable>
   <unix-sound-player type="QString">{home}/player</unix-sound-player>
   <contact-online type="QString">{home}/available.wav</contact-online>
   <contact-offline type="QString">{home}/unavailable.wav</contact-offline>
   <system-message type="QString"></system-message>
   <incoming-message type="QString"></incoming-message>
   <chat-message type="QString"></chat-message>
   <new-chat type="QString"></new-chat>
  </sounds>
 </notifications>
</ui>
</options></options>
"""

ACCOUNT = """<!DOCTYPE accounts>
<accounts xmlns="http://psi-im.org/options" version="1.5"><accounts><a0>
<enabled type="bool">true</enabled>
<auto type="bool">false</auto>
<reconn type="bool">true</reconn>
<log type="bool">true</log>
<name type="QString">me</name>
<jid type="QString">{jid}</jid>
<password type="QString">{password}</password>
<use-host type="bool">true</use-host>
<host type="QString">{server}</host>
<port type="int">{port}</port>
<ssl type="QString">yes</ssl>
<automatic-resource type="bool">false</automatic-resource>
<resource type="QString">interop</resource>
</a0></accounts></accounts>
"""

PLAYER = """#!/bin/sh
basename "$1" .wav >>"{home}/sounds"
"""

# After a login Psi makes no sound for contacts that are there already.
SILENT_S = 16

HISTORY = re.compile(r"^\|[^|]*\|\d\|from\|[^|]*\|(.*)$", re.MULTILINE)


def hidden(password, jid):
    """As Psi keeps a password: each character xor one of the address."""
    return "".join(f"{ord(char) ^ ord(jid[i % len(jid)]):04x}"
                   for i, char in enumerate(password))


def write(path, text, mode=0o600):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


class Psi:
    name = "psi"
    scenarios = {"login", "roster", "presence", "chat", "offline",
                 "reconnect"}

    def __init__(self, stage, account):
        self.account, self.stage = account, stage
        self.inbox = Inbox(account.user)
        self.home = os.path.join(stage.folder, "psi")
        self.contact, self.read, self.open = None, {}, True
        self.herald = Herald(stage)
        self.prepare()
        self.desktop = Desktop(self.home)
        self.desktop.start(["psi", "--profile=default"])
        self.watching = threading.Thread(target=self.watch, daemon=True)
        self.watching.start()

    def prepare(self):
        profile = self.home + "/.config/psi/profiles/default/"
        share = self.home + "/.local/share/psi/"
        write(profile + "options.xml", OPTIONS.format(home=self.home))
        accounts = ACCOUNT.format(
            jid=self.account.jid,
            password=hidden(self.account.password, self.account.jid),
            server=self.stage.proxied[0], port=self.stage.proxied[1])
        write(profile + "accounts.xml", accounts)
        write(share + "profiles/default/accounts.xml", accounts)
        with open(self.stage.ca, encoding="utf-8") as certificate:
            write(share + "certs/server.crt", certificate.read())
        write(self.home + "/player", PLAYER.format(home=self.home), 0o700)
        for sound in ("available", "unavailable"):
            write(f"{self.home}/{sound}.wav", "")

    def dbus(self, method, *arguments, until=0.0):
        while True:
            done = self.desktop.run(
                "dbus-send", "--session", "--print-reply",
                "--dest=org.psi-im.Psi", "/Main", "org.psi_im.Psi.Main." +
                method, *("string:" + each for each in arguments))
            if done.returncode == 0:
                return
            if time.monotonic() > until:
                raise Missing(f"Psi does not {method}: {done.stderr}")
            time.sleep(0.2)

    def keys(self, window, *actions):
        """Gives the window the keyboard; each action is for xdotool."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = self.desktop.run("xdotool", "search", "--onlyvisible",
                                     "--name", window).stdout.split()
            if found:
                break
            time.sleep(0.2)
        else:
            raise Missing(f"Psi shows no window {window!r}")
        self.desktop.run("xdotool", "windowfocus", "--sync", found[-1])
        for action in actions:
            time.sleep(0.3)
            self.desktop.run("xdotool", *action)

    def watch(self):
        while self.open:
            for path in glob.glob(self.home + "/.local/share/psi/profiles/"
                                  "default/history/*.history"):
                self.news(path, self.on_history)
            self.news(self.home + "/sounds", self.on_sound)
            time.sleep(0.1)

    def news(self, path, tell):
        for line in self.read.setdefault(path, Tail(path)).news():
            tell(path, line)

    def on_history(self, path, line):
        name = os.path.basename(path)[:-len(".history")]
        jid = name.replace("_at_", "@").replace("%2d", "-").replace(
            "%2e", ".").replace("%5f", "_")
        found = HISTORY.match(line)
        if found and jid == self.herald.jid:
            threading.Timer(SILENT_S, self.inbox.put, ("online",)).start()
        elif found:
            self.inbox.put("message", jid, found[1])

    def on_sound(self, _, line):
        self.inbox.put("presence", self.contact, line)

    def login(self):
        self.dbus("wake", until=time.monotonic() + PATIENCE_S)
        self.herald.announce(self.account)
        self.dbus("setStatus", "online", "")

    def logout(self):
        self.dbus("setStatus", "offline", "")
        self.stage.proxy.wait(connected=False)

    def add(self, jid):
        self.contact = jid
        self.dbus("openURI", f"xmpp:{jid}?roster")
        self.keys("Add Contact", ("key", "Return"))
        self.keys("Add User", ("key", "Return"))

    def approve(self, jid):
        """Its option to allow whoever asks is on."""

    def show(self, show):
        self.dbus("setStatus", show.replace("available", "online"), "")

    def send(self, jid, text):
        self.dbus("openURI", f"xmpp:{quote(jid)}?message;type=chat")
        self.keys(jid, ("type", text), ("key", "Return"))

    def evidence(self):
        return {}

    def close(self):
        self.open = False
        self.watching.join()
        self.herald.close()
        self.desktop.close()
