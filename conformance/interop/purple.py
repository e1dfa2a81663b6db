"""libpurple, the engine of Pidgin and Finch, driven through purple.c."""

import os
import shlex
import subprocess
import threading

from inbox import Inbox

HERE = os.path.dirname(os.path.abspath(__file__))


def compile_into(folder):
    program = os.path.join(folder, "purple")
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "purple"], check=True,
        capture_output=True, text=True).stdout
    subprocess.run(["cc", "-O1", "-g", "-o", program,
                    os.path.join(HERE, "purple.c"), *shlex.split(flags)],
                   check=True, stderr=subprocess.DEVNULL)
    return program


class Purple:
    name = "libpurple"
    scenarios = {"login", "roster", "presence", "chat", "offline",
                 "reconnect"}

    def __init__(self, stage, account):
        self.account, self.stage = account, stage
        self.inbox = Inbox(account.user)
        self.process = subprocess.Popen(
            [compile_into(stage.folder), os.path.join(stage.folder, "home"),
             account.jid + "/interop", stage.proxied[0],
             str(stage.proxied[1])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self.listen, daemon=True).start()
        self.command(account.password)

    def listen(self):
        for line in self.process.stdout:
            self.inbox.put(*line.rstrip("\n").split("\t"))

    def command(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
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
        return map(str, self.inbox.seen)

    def close(self):
        try:
            self.command("quit")
            self.process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
