"""A client that is told what to do by lines on its standard input, and tells
what it sees by lines on its standard output."""

import os
import subprocess
import threading


class Driven:
    """A client says how words become a line, and a line an event: line_of and
    event_of, which is empty for a line that tells nothing."""

    def drive(self, start, *words):
        """start is Popen or the like."""
        self.complaints = os.path.join(self.stage.folder, "complaints")
        with open(self.complaints, "w", encoding="utf-8") as errors:
            self.process = start(
                words, text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=errors)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            event = self.event_of(line)
            if event:
                self.inbox.put(*event)
        self.inbox.put("ended")

    def command(self, *words):
        self.process.stdin.write(self.line_of(words) + "\n")
        self.process.stdin.flush()

    def login(self):
        self.command("login")

    def logout(self):
        self.command("logout")
        self.inbox.expect("offline")

    def add(self, jid):
        self.command("add", jid)

    def approve(self, jid):
        self.inbox.expect("subscribe", jid)
        self.command("approve", jid)

    def show(self, show):
        self.command("show", show)

    def send(self, jid, text):
        self.command("send", jid, text)

    def evidence(self):
        with open(self.complaints, encoding="utf-8",
                  errors="replace") as errors:
            return {"complaints": errors.read().splitlines()}
