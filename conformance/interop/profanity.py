"""Profanity, in a terminal of its own that tmux keeps.

Its console window says what happens; messages are read from its chat log. Up
to 0.15 it looks for an archive at the server's domain instead of the account
(XEP-0313, section 7), finds none there, and so does not catch up from it.
"""

import contextlib
import glob
import os
import re
import subprocess
import threading
import time

from console import Console
from inbox import PATIENCE_S, Inbox, Missing
from slix import Slixmpp
from tail import Tail

SETTINGS = """[connection]
carbons=true
reconnect=1
[logging]
chlog=true
[ui]
roster=false
console.chat=all
[updates]
check=false
"""

ACCOUNT = """[me]
enabled=true
jid={jid}
server={server}
port={port}
tls.policy=trust
password={password}
resource=interop
"""

LOGGED = re.compile(r"^\S+ - ([^ ]+@[^ :]+|me): (.*)$")

ROWS = 500


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Profanity:
    name = "profanity"
    scenarios = {"login", "roster", "presence", "chat", "offline",
                 "reconnect", "carbons", "resume"}

    def __init__(self, stage, account):
        self.account, self.stage = account, stage
        self.inbox = Inbox(account.user)
        self.home = os.path.join(stage.folder, "profanity")
        self.console, self.chats = Console(ROWS), {}
        self.log, self.logged = Tail(
            self.home + "/data/profanity/logs/profanity.log"), []
        self.inputs, self.open = [], True
        write(self.home + "/config/profanity/profrc", SETTINGS)
        write(self.home + "/data/profanity/accounts", ACCOUNT.format(
            jid=account.jid, password=account.password,
            server=stage.proxied[0], port=stage.proxied[1]))
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "250", "-y",
                  str(ROWS), "exec profanity -l DEBUG")
        self.watching = threading.Thread(target=self.watch, daemon=True)
        self.watching.start()

    def tmux(self, *words):
        return subprocess.run(
            ["tmux", "-S", os.path.join(self.stage.folder, "tmux"), *words],
            check=True, capture_output=True, text=True,
            env=dict(os.environ, LC_ALL="C.UTF-8", TERM="screen",
                     XDG_CONFIG_HOME=self.home + "/config",
                     XDG_DATA_HOME=self.home + "/data")).stdout

    def wait(self, done, what, timeout=PATIENCE_S):
        deadline = time.monotonic() + timeout
        while not done():
            if time.monotonic() > deadline:
                raise Missing(f"Profanity did not {what}")
            time.sleep(0.02)

    def watch(self):
        try:
            while self.open:
                self.read_console()
                self.read_chats()
                self.read_log()
                time.sleep(0.05)
        except subprocess.CalledProcessError as err:
            self.inbox.put("ended", err.stderr.strip())

    def read_console(self):
        cursor, _, screen = self.tmux(
            "display-message", "-p", "#{cursor_y}", ";",
            "capture-pane", "-p").partition("\n")
        for event in self.console.events(cursor, screen):
            self.inbox.put(*event)

    def read_chats(self):
        for path in sorted(glob.glob(
                self.home + "/data/profanity/chatlogs/**/*.log",
                recursive=True)):
            chat = self.chats.setdefault(path, Tail(path))
            for line in chat.news():
                if found := LOGGED.match(line):
                    self.inbox.put("message", found[1], found[2])

    def read_log(self):
        """Only what it writes for its developers tells what it was typed, and
        that it resumed a session."""
        news = self.log.news()
        self.logged += news
        for line in news:
            _, typed, text = line.partition(" Input received: ")
            if typed:
                self.inputs.append(text)
            if "Session resumed successfully" in line:
                self.inbox.put("resumed")

    def type(self, *lines):
        """Each when the one before was taken."""
        for line in lines:
            taken = len(self.inputs)
            self.tmux("send-keys", "-l", line)
            self.tmux("send-keys", "Enter")
            self.wait(lambda: line in self.inputs[taken:], f"take {line!r}")

    def evidence(self):
        return {"console": self.console.lines, "log": self.logged}

    def login(self):
        self.wait(lambda: self.console.lines, "show its console")
        self.type("/presence console all", "/connect me")

    def logout(self):
        self.type("/disconnect")
        self.inbox.expect("offline")

    def add(self, jid):
        self.type(f"/roster add {jid}", f"/sub request {jid}")

    def approve(self, jid):
        self.inbox.expect("subscribe", jid)
        self.type(f"/sub allow {jid}")

    def show(self, show):
        self.type("/status set " + {"available": "online"}.get(show, show))

    def device(self, priority):
        return Slixmpp(self.stage, self.account, self.stage.server, priority)

    def send(self, jid, text):
        self.type(f"/msg {jid} {text}", "/win 1")

    def close(self):
        self.open = False
        self.watching.join()
        with contextlib.suppress(subprocess.CalledProcessError):
            self.tmux("kill-server")
