"""A component (echo.py) that its own server's people and those of another one
talk with, and that goes and comes."""

import os
import signal
import subprocess
from pathlib import Path

from lab import Domain, LabError, listens
from matrix import report, stop_all
from servers import KINDS, SQLITE, fresh_id, until
from talk import Lost, Person

ECHO = Path(__file__).resolve().parent / "echo.py"
ITEMS = "http://jabber.org/protocol/disco#items"
PRESET, OTHER = ("127.0.0.1", 5347), ("127.0.0.2", 5348)


class Echo:
    """The process; its domain belongs to a server of the lab."""

    def __init__(self, lab, domain, where):
        self.lab, self.domain, self.where = lab, domain, where
        self.secret, self.process = fresh_id(), None
        self.jid = f"parrot@{domain.name}"

    @property
    def settings(self):
        return (f"domains:\n  {self.domain.name}: "
                f"{{component: {{secret: s{self.secret}}}}}\n")

    @property
    def listen(self):
        """Where its server takes it, if that is not preset."""
        return "" if self.where == PRESET else \
            "  components: {{addresses: [{}], port: {}}}\n".format(*self.where)

    def start(self):
        """Returns when it is connected."""
        self.process = self.lab.spawn(
            ["/usr/bin/python3", ECHO, self.domain.name, f"s{self.secret}",
             *self.where], stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "connected\n":
            raise LabError("the component could not connect")

    def stop(self):
        self.lab.end(self.process)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.lab.end(self.process)


def hear_echoes(person, echo, bodies):
    """All of them, in order."""
    for body in bodies:
        got = person.wait("message", echo.jid)
        heard = got.findtext("{jabber:client}body")
        if got.get("type") == "error" or heard != body:
            raise Lost(f"wanted {body}, got {heard} ({got.get('type')})")


def talk(person, echo):
    bodies = [f"{fresh_id()} {count}" for count in range(20)]
    for body in bodies:
        person.say(echo.jid, body)
    hear_echoes(person, echo, bodies)


def is_listed(person, echo):
    answer = person.expect(person.account.host, f"<query xmlns='{ITEMS}'/>")
    jids = [item.get("jid") for item in answer.iter(f"{{{ITEMS}}}item")]
    if echo.domain.name not in jids:
        raise Lost(f"the items are {jids}")


def is_taken_there_alone(echo):
    found = [(address, port) for address in (PRESET[0], OTHER[0])
             for port in (PRESET[1], OTHER[1]) if listens(address, port)]
    if found != [echo.where]:
        raise Lost(f"components are taken at {found}")


def until_answered(server, echo):
    """What was answered for does not come again."""
    until("the component has all", lambda: server.has_sent(echo.domain.name))


def until_away(server, echo):
    until("the component is away", lambda:
          server.link(echo.domain.name)["state"] != "connected")


def comes_back(server, person, echo, leave):
    """What is said meanwhile waits, in order; other stanzas do not."""
    until_answered(server, echo)
    leave()
    until_away(server, echo)
    answer = person.ask(echo.jid, "<ping xmlns='urn:xmpp:ping'/>")
    if answer.get("type") != "error":
        raise Lost("somebody answered for a component that is away")
    bodies = [f"{fresh_id()} {count}" for count in range(5)]
    for body in bodies:
        person.say(echo.jid, body)
    until("all waits", lambda: server.link(echo.domain.name)["queued"] == 5)
    echo.start()
    hear_echoes(person, echo, bodies)


def survives(server, person, echo):
    """What was said before its server was killed comes after it."""
    until_answered(server, echo)
    echo.stop()
    until_away(server, echo)
    body = fresh_id()
    person.say(echo.jid, body)
    until("it is written down",
          lambda: server.link(echo.domain.name)["kept"] == 1)
    server.kill()
    server.start()
    person.come()
    echo.start()
    # After a crash its client may hear again what it heard before.
    person.hear(echo.jid, body)


def cases(ours, juliet, romeo, echo):
    return (
        ("echoes to its own server", talk, juliet, echo),
        ("echoes to another server", talk, romeo, echo),
        ("is an item of its host", is_listed, juliet, echo),
        ("is taken at its address and port alone", is_taken_there_alone,
         echo),
        ("ends and comes back", comes_back, ours, juliet, echo, echo.stop),
        ("is killed and comes back", comes_back, ours, juliet, echo,
         echo.kill),
        ("gets what a killed server held", survives, ours, juliet, echo))


def play(lab, names, peer, wanted):
    """With ejabberd, where there is a PostgreSQL, that is our store. With
    Jackdaw, components are taken at another address than the preset one."""
    postgres = os.environ.get("JACKDAW_TEST_PG", "")
    store, title = SQLITE, f"component {peer}"
    if peer == "ejabberd" and postgres:
        store = f'{{backend: postgres, conninfo: "{postgres}"}}'
        title += " with PostgreSQL"
    us, them = lab.sites[:2]
    host = lab.add(Domain("host.lab", us, certificate="self-signed"))
    other = lab.add(Domain("other.lab", them, certificate="self-signed"))
    echo = Echo(lab, Domain("echo.host.lab", us),
                OTHER if peer == "jackdaw" else PRESET)
    lab.zone += echo.domain.records
    names.start()
    proofs = {domain.name: "dialback" for domain in (host, other)}
    ours = KINDS["jackdaw"](lab, names, [host], proofs, more=echo.settings,
                            listen=echo.listen, storage=store)
    theirs = KINDS[peer](lab, names, [other],
                         proofs | {echo.domain.name: "dialback"})
    for server in (ours, theirs, echo):
        server.start()
    juliet = Person(ours, "juliet", host.name)
    romeo = Person(theirs, "romeo", other.name)
    juliet.come()
    romeo.come()
    for name, task, *words in cases(ours, juliet, romeo, echo):
        if wanted in name:
            report(f"{title}: {name}", task, *words)
    echo.stop()
    stop_all(title, ours, theirs)
    names.stop()
