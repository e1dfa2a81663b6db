"""libpurple, the engine of Pidgin and Finch, driven through purple.c."""

import os
import shlex
import subprocess

from driven import Driven
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


class Purple(Driven):
    name = "libpurple"
    scenarios = {"login", "roster", "presence", "chat", "offline",
                 "reconnect"}

    def __init__(self, stage, account):
        self.account, self.stage = account, stage
        self.inbox = Inbox(account.user)
        self.drive(subprocess.Popen, compile_into(stage.folder),
                   os.path.join(stage.folder, "home"),
                   account.jid + "/interop", stage.proxied[0],
                   str(stage.proxied[1]))
        self.command(account.password)

    def line_of(self, words):
        return " ".join(words)

    def event_of(self, line):
        return line.rstrip("\n").split("\t")

    def close(self):
        try:
            self.command("quit")
            self.process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
