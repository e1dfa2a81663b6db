"""Other servers that take their time, played here over sockets: many that say a
byte at a time before they have proved anything, and one that stops reading
while much is to be sent to it. They cost us little memory, and not for long."""

import os
import re
import socket
import ssl
from itertools import chain, repeat
from pathlib import Path

from faults import SETTINGS
from lab import PATIENCE_S, Domain
from matrix import report, stop_all
from servers import KINDS, S2S, until
from talk import NS, Lost, Person, take_all

from runner import peers
from runner.federation import Federation
from runner.steps import Failed

ROOM = 64 * 1024  # of the system, for what was not read yet
DRIPS = 200
# What waits is a few megabytes; what is said beside it are forty. That is not
# kept, and a client that hears of it in portions makes nothing pile up.
QUEUE, MORE, PORTION, BODY = 400, 4000, 100, "x" * 10000
DRIPS_KIB, QUEUE_KIB, MORE_KIB = 10 * 1024, 60 * 1024, 4 * 1024
# An archive would use memory for what it keeps.
SETTINGS_MORE = (
    "limits: {idle_ping: 3 s, idle_timeout: 3 s, auth_time: 5 s, rate: 0}\n"
    "modules.archive: off\n")
# What is freed may be used again.
ENVIRONMENT = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
               ":quarantine_size_mb=1"}


class Growth:
    """How much more memory a server used than ever before this was made."""

    def __init__(self, server):
        self.server, self.before = server, self.peak(server)

    @staticmethod
    def peak(server):
        status = Path(f"/proc/{server.process.pid}/status").read_text("ascii")
        return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)[1])

    def is_below(self, kib):
        """In words."""
        more = max(self.peak(self.server) - self.before, 0)
        if more > kib:
            raise Lost(f"{more} KiB more were used")
        return f"{more} KiB more"


class Far(Federation):
    """The server of another domain, with one stream at a time."""

    def __init__(self, lab, domain):
        self.domain, self.stream_now = domain.name, None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*lab.authority.files(domain.name))
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((domain.site.v4, S2S))
        self.listener.listen()
        self.listener.settimeout(0.1)
        lab.at_end.append(self.listener.close)

    def link(self, _who):
        return self.stream_now

    def handshake(self, _who, _kind):
        self.stream_now.be_tls_server(self.context)

    def welcome(self):
        """Up to the first stanza; nothing if nobody is there."""
        try:
            sock, _ = self.listener.accept()
        except TimeoutError:
            return None
        self.stream_now = peers.Link(sock, [], PATIENCE_S, self)
        try:
            self.negotiate("", ["EXTERNAL", "sm"], None, self.stanzas_may_come)
            self.enables_acks("")
        except (Failed, OSError):  # it had waited for too long
            self.stream_now.close()
            return None
        return self.stream_now


def take_messages(stream, stanza_type):
    """The ids of those that came."""
    def look(event):
        is_one = event[0] == "element" and event[1].tag == NS + "message" and \
            event[1].get("type") == stanza_type
        return event[1].get("id") if is_one else None

    return take_all(stream, look)


class Talk:
    """What somebody of ours says to somebody there, and what becomes of it."""

    def __init__(self, ours, far):
        self.we = Person(ours, "juliet", ours.domains[0].name, True)
        self.far, self.link = far, None
        self.said, self.bounced, self.heard = [], [], []

    def say(self, body):
        self.said.append(self.we.say(f"romeo@{self.far.domain}", body))

    def say_all(self, count):
        """Our server takes each, or tells that it does not."""
        for at in range(0, count, PORTION):
            for _ in range(at, min(at + PORTION, count)):
                self.say(BODY)
            self.we.acks.ask()
            until("all is acknowledged", self.we.acks.has_all, self.we.rest)
            self.collect()

    def collect(self):
        self.bounced += take_messages(self.we.stream, "error")

    def has_heard_all(self):
        self.link.pump(0.1)
        self.heard += take_messages(self.link, "chat")
        self.collect()
        return len(self.heard) + len(self.bounced) >= len(self.said)

    def is_connected(self):
        self.link = self.far.welcome()
        return self.link is not None

    def listen(self):
        """On a new stream, until all that was said is there."""
        until("our server connects", self.is_connected, self.we.rest)
        until("all is heard or came back", self.has_heard_all, self.we.rest)


def deaf(ours, far):
    """What does not fit comes back at once. When nothing was acknowledged in
    time the stream is given up, and what waited goes on the next one."""
    talk = Talk(ours, far)
    talk.we.come()
    talk.say("first")
    talk.listen()
    filling = Growth(ours)
    talk.say_all(2 * QUEUE)
    full = Growth(ours)
    talk.say_all(MORE)
    until("it is given up", lambda: ours.has_line(
        "s2s out", far.domain, "connection-timeout: no answer"), talk.we.rest)
    used = (f"{filling.is_below(QUEUE_KIB)}, "
            f"{full.is_below(MORE_KIB)} when nothing fitted any more")
    talk.link.close()
    talk.listen()
    refused = set(talk.bounced)
    if len(talk.heard) != QUEUE + 1 or \
            talk.heard != [each for each in talk.said if each not in refused]:
        raise Lost(f"{len(talk.heard)} of {len(talk.said)} were heard, and "
                   f"{len(talk.bounced)} came back")
    talk.we.leave()
    return used


def is_let(sock, byte):
    """Whether one more may be said."""
    try:
        sock.send(byte)
        return sock.recv(4096) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def drip(ours, far):
    """Each is ended in its time, whatever it says; others are served."""
    we = Person(ours, "juliet", ours.domains[0].name)
    we.come()
    growth = Growth(ours)
    head = peers.HEAD.format(attributes=f"from='{far.domain}' "
                             f"to='{we.account.host}'").encode()
    links = [socket.create_connection((ours.site.v4, S2S))
             for _ in range(DRIPS)]
    for each in links:
        each.setblocking(False)
    sayings = chain((bytes([each]) for each in head), repeat(b" "))

    def are_gone():
        byte = next(sayings)
        links[:] = [each for each in links if is_let(each, byte)]
        return not links

    until("all are gone", are_gone, we.rest)
    we.expect("", "<ping xmlns='urn:xmpp:ping'/>")
    until("the log tells of each", lambda: DRIPS == ours.output().count(
        "closed with connection-timeout: not authenticated in time"), we.rest)
    we.leave()
    return growth.is_below(DRIPS_KIB)


def play(lab, names, _peer, wanted):
    us, them = lab.sites[:2]
    host = lab.add(Domain("host.slow.lab", us))
    far = Far(lab, lab.add(Domain("far.slow.lab", them)))
    names.start()
    ours = KINDS["jackdaw"](
        lab, names, [host], s2s=SETTINGS | {"queue": QUEUE},
        more=SETTINGS_MORE, environment=ENVIRONMENT)
    ours.start()
    for name, task in (("servers that say a byte at a time", drip),
                       ("a server that stops reading", deaf)):
        if wanted in name:
            report(f"slow: {name}", task, ours, far)
    stop_all("slow", ours)
    names.stop()
