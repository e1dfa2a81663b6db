"""Where a scene's fresh accounts come from."""

import secrets
import shlex
import subprocess
import threading
from dataclasses import dataclass

from . import client

REGISTER = "jabber:iq:register"


@dataclass
class Account:
    user: str
    host: str
    password: str

    @property
    def jid(self):
        return f"{self.user}@{self.host}"


class AccountError(Exception):
    """No account could be made."""


def fresh(name, host):
    return Account(f"{name}-{secrets.token_hex(5)}", host,
                   secrets.token_urlsafe(15))


class FromFile:
    """Lines `user@host password`; each account is handed out once."""

    def __init__(self, path):
        self.lock, self.free = threading.Lock(), {}
        with open(path, encoding="utf-8") as lines:
            for line in filter(None, map(str.strip, lines)):
                jid, password = line.split(maxsplit=1)
                user, _, host = jid.partition("@")
                self.free.setdefault(host, []).append(
                    Account(user, host, password))

    def make(self, _name, host):
        with self.lock:
            if not self.free.get(host):
                raise AccountError(f"no account of {host} is left")
            return self.free[host].pop(0)


class FromCommand:
    """Runs a command for each; the password is also its standard input."""

    def __init__(self, template):
        self.template = template

    def make(self, name, host):
        account = fresh(name, host)
        words = [word.format(user=account.user, host=host, jid=account.jid,
                             password=account.password)
                 for word in shlex.split(self.template)]
        done = subprocess.run(words, input=account.password + "\n", text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise AccountError(f"{words[0]}: {done.stderr or done.stdout}")
        return account


class InBand:
    """XEP-0077, on a connection of its own."""

    def __init__(self, dialer):
        self.dialer = dialer

    def make(self, name, host):
        account = fresh(name, host)
        self.register(account)
        return account

    def register(self, account):
        stream = self.dialer.open([], "secure")
        try:
            client.start_stream(stream, account.host)
            answer = stream.ask(
                "reg", f"<iq type='set' id='reg' to='{account.host}'>"
                f"<query xmlns='{REGISTER}'>"
                f"<username>{account.user}</username>"
                f"<password>{account.password}</password></query></iq>")
            if answer is None or answer.get("type") != "result":
                raise AccountError("registration: " + (
                    "no answer" if answer is None else client.show(answer)))
        finally:
            stream.close()


def source(options, dialer):
    if options.accounts:
        return FromFile(options.accounts)
    if options.adduser:
        return FromCommand(options.adduser)
    return InBand(dialer)
