"""Profanity, in a terminal of its own that tmux keeps.

Its console window says what happens; messages are read from its chat log. Up
to 0.15 it looks for an archive at the server's domain instead of the account
(XEP-0313, section 7), finds none there, and so does not catch up from it.
"""

import os
import re
import subprocess
import threading
import time

from inbox import Inbox
from slix import Slixmpp

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

SHOWN = {"online": "available", "away": "away", "dnd": "dnd",
         "offline": "unavailable"}

CONSOLE = (
    (re.compile(r"logged in successfully"), lambda m: ("online",)),
    (re.compile(r"logged out successfully|[Ll]ost connection"),
     lambda m: ("offline",)),
    (re.compile(r"authorization request from (\S+)"),
     lambda m: ("subscribe", m[1])),
    (re.compile(r"(?:\+\+|--|\*\*) (\S+) .*is (\w+)"),
     lambda m: ("presence", m[1], SHOWN.get(m[2], m[2]))),
)

LOGGED = re.compile(r"^\S+ - ([^ ]+@[^ :]+|me): (.*)$", re.MULTILINE)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def last_lines(text):
    return [line for line in text.split("\n") if line.strip()][-30:]


class Profanity:
    name = "profanity"
    scenarios = {"login", "roster", "presence", "chat", "offline",
                 "reconnect", "carbons", "resume"}

    def __init__(self, stage, account):
        self.account, self.stage = account, stage
        self.inbox = Inbox(account.user)
        self.home = os.path.join(stage.folder, "profanity")
        self.written = self.home + "/data/profanity/logs/profanity.log"
        self.lock, self.open = threading.Lock(), True
        self.lines, self.messages, self.resumed = 0, 0, 0
        write(self.home + "/config/profanity/profrc", SETTINGS)
        write(self.home + "/data/profanity/accounts", ACCOUNT.format(
            jid=account.jid, password=account.password,
            server=stage.proxied[0], port=stage.proxied[1]))
        # High enough that the console never scrolls.
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "250", "-y",
                  "500", "exec profanity -l DEBUG")
        threading.Thread(target=self.watch, daemon=True).start()
        self.wait_for_prompt()
        self.type("/presence console all")

    def tmux(self, *words):
        return subprocess.run(
            ["tmux", "-S", os.path.join(self.stage.folder, "tmux"), *words],
            check=True, capture_output=True, text=True,
            env=dict(os.environ, LC_ALL="C.UTF-8", TERM="screen",
                     XDG_CONFIG_HOME=self.home + "/config",
                     XDG_DATA_HOME=self.home + "/data")).stdout

    def wait_for_prompt(self):
        deadline = time.monotonic() + 20
        while not self.lines and time.monotonic() < deadline:
            time.sleep(0.1)

    def watch(self):
        while True:
            with self.lock:
                if not self.open:
                    return
                self.read_console()
                self.read_log()
                self.read_resumed()
            time.sleep(0.1)

    def read_console(self):
        """New lines, when it is the console that is on the screen."""
        screen = self.tmux("capture-pane", "-p").rstrip().split("\n")
        if not screen[0].startswith(" Profanity"):
            return
        lines = [line for line in screen[1:-1] if line.strip()]
        for line in lines[self.lines:]:
            for pattern, event in CONSOLE:
                match = pattern.search(line)
                if match:
                    self.inbox.put(*event(match))
        self.lines = max(self.lines, len(lines))

    def read_log(self):
        logs = []
        for folder, _, names in os.walk(self.home + "/data"):
            logs += [os.path.join(folder, name) for name in names
                     if name.endswith(".log") and "chatlogs" in folder]
        text = ""
        for log in sorted(logs):
            with open(log, encoding="utf-8") as file:
                text += file.read()
        found = LOGGED.findall(text)
        for sender, body in found[self.messages:]:
            self.inbox.put("message", sender, body)
        self.messages = len(found)

    def read_resumed(self):
        """Only what it writes for its developers tells that."""
        if not os.path.exists(self.written):
            return
        with open(self.written, encoding="utf-8", errors="replace") as log:
            resumed = log.read().count("Session resumed successfully")
        for _ in range(self.resumed, resumed):
            self.inbox.put("resumed")
        self.resumed = resumed

    def type(self, *lines):
        with self.lock:
            for line in lines:
                self.tmux("send-keys", "-l", line)
                self.tmux("send-keys", "Enter")
                time.sleep(0.2)

    def evidence(self):
        """The end of what its screen shows and of what it writes down."""
        with self.lock:
            screen = self.tmux("capture-pane", "-p")
        with open(self.written, encoding="utf-8", errors="replace") as log:
            written = log.read()
        return last_lines(screen) + last_lines(written)

    def login(self):
        self.type("/connect me")

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
        with self.lock:
            self.open = False
            self.tmux("kill-server")
