"""go-sendxmpp: one process listens, each message is sent by another."""

import os
import re
import subprocess
import threading

from herald import Herald
from inbox import PATIENCE_S, Inbox

PRINTED = re.compile(r"^\S+ (?:\[\S+\] )?(\S+?@[^/: ]+)(?:/\S+)?: (.*)$")


class Sendxmpp:
    name = "go-sendxmpp"
    scenarios = {"login", "chat"}

    def __init__(self, stage, account):
        self.account, self.stage = account, stage
        self.inbox, self.listener = Inbox(account.user), None
        self.herald = Herald(stage)
        self.settings = os.path.join(stage.folder, "sendxmpprc")
        with open(self.settings, "w", encoding="utf-8") as file:
            file.write(f"username: {account.jid}\n"
                       f"jserver: 127.0.0.1:{stage.proxied[1]}\n"
                       f"password: {account.password}\n")
        os.chmod(self.settings, 0o600)
        self.environment = dict(os.environ, HOME=stage.folder,
                                SSL_CERT_FILE=stage.ca)

    def command(self, *words):
        return ["go-sendxmpp", "-f", self.settings, *words]

    def listen(self):
        for line in self.listener.stdout:
            found = PRINTED.match(line)
            if found and found[1] == self.herald.jid:
                self.inbox.put("online")
            elif found:
                self.inbox.put("message", found[1], found[2])

    def login(self):
        self.herald.announce(self.account)
        self.listener = subprocess.Popen(
            self.command("-l"), env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        threading.Thread(target=self.listen, daemon=True).start()

    def send(self, jid, text):
        subprocess.run(self.command(jid), input=text + "\n", text=True,
                       env=self.environment, capture_output=True, check=True,
                       timeout=PATIENCE_S)

    def evidence(self):
        return {}

    def close(self):
        self.herald.close()
        if self.listener is not None:
            self.listener.terminate()
            self.listener.wait()
