"""What breaks: peers, links, names, ourselves. What was accepted arrives, or
comes back to its sender."""

import time

from lab import Domain
from servers import KINDS, fresh_id
from matrix import attempt
from talk import NS, Lost, Person, befriend

# Much shorter than the presets, so that a test sees them pass.
SETTINGS = {"hold_messages": "20 s", "hold_others": "5 s",
            "presence_lost": "3 s", "connect_timeout": "3 s"}
IDLE = "limits: {idle_ping: 3 s, idle_timeout: 5 s}\n"


class Play:
    """Two people on two servers, and a count of what they said."""

    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs
        self.we = Person(ours, "juliet", ours.domains[0].name)
        self.they = Person(theirs, "romeo", theirs.domains[0].name)
        self.said, self.heard, self.bounced = [], [], []
        self.bodies = {}  # by id: an error need not repeat them

    def begin(self):
        self.we.come()
        self.they.come()
        befriend(self.we, self.they)

    def say(self, count, pause=0.02):
        for _ in range(count):
            body = fresh_id()
            self.bodies[self.we.say(self.they.jid, body)] = body
            self.said.append(body)
            time.sleep(pause)

    def rest(self, seconds):
        """Their clients live on meanwhile."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for person in (self.we, self.they):
                if person.stream is not None and not person.stream.ended:
                    person.stream.pump(0.05)
            time.sleep(0.01)

    def await_presence(self, stanza_type, seconds):
        deadline = time.monotonic() + seconds
        while True:
            self.rest(0.5)
            try:
                return self.we.wait_type("presence", self.they.jid,
                                         stanza_type, 0.1)
            except Lost:
                if time.monotonic() > deadline:
                    raise

    def body_of(self, event):
        if event[0] != "element" or event[1].tag != NS + "message":
            return None
        return event[1].findtext(NS + "body") or \
            self.bodies.get(event[1].get("id"))

    def collect(self, person, into, is_wanted):
        while person.stream is not None and person.stream.pump(0.05):
            pass
        if person.stream is None:
            return
        person.answer_pings()
        kept = []
        for event in person.stream.queue:
            body = self.body_of(event)
            if body is not None and is_wanted(event[1]):
                into.append(body)
            else:
                kept.append(event)
        person.stream.queue.clear()
        person.stream.queue.extend(kept)

    def missing(self):
        return set(self.said) - set(self.heard) - set(self.bounced)

    def listen(self, seconds):
        """Until all was heard or came back, or so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.collect(self.they, self.heard,
                         lambda element: element.get("type") != "error")
            self.collect(self.we, self.bounced,
                         lambda element: element.get("type") == "error")
            if not self.missing():
                break

    def check(self, seconds, once=True, no_bounce=False):
        self.listen(seconds)
        if self.missing():
            # A server may keep what comes while its user logs in.
            self.they_return()
            self.listen(5)
        lost = self.missing()
        if lost:
            raise Lost(f"{len(lost)} of {len(self.said)} are lost, the "
                       f"first is number {self.said.index(min(lost, key=self.said.index))}")
        if no_bounce and self.bounced:
            raise Lost(f"{len(self.bounced)} came back")
        if once:
            self.listen_on()
            if len(self.heard) + len(self.bounced) != len(self.said):
                raise Lost(f"of {len(self.said)}, {len(self.heard)} were "
                           f"heard and {len(self.bounced)} came back")
            order = [body for body in self.said if body in set(self.heard)]
            if order != self.heard:
                raise Lost("they came in another order")

    def listen_on(self):
        """Perhaps something comes twice."""
        self.rest(1)
        self.collect(self.they, self.heard,
                     lambda element: element.get("type") != "error")

    def rest(self, seconds):
        """Time passes; both clients stay."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for person in (self.we, self.they):
                person.rest(0.1)

    def they_return(self):
        """Their client logs in again after its server was gone."""
        self.they.stream.close()
        self.they.come()

    def we_return(self):
        self.we.stream.close()
        self.we.come()

    def end(self):
        for person in (self.we, self.they):
            if person.stream is not None:
                person.stream.close()


def restart(play):
    play.begin()
    play.say(20)
    play.check(20)
    play.theirs.stop()
    play.say(20)
    play.theirs.start()
    play.they_return()
    play.say(20)
    play.check(60, no_bounce=True)


def crash(play):
    """Their server is killed: at least once, for what it had not taken."""
    play.begin()
    play.say(20)
    play.check(20)
    play.theirs.kill()
    play.say(20)
    play.theirs.start()
    play.they_return()
    play.say(20)
    play.check(60, once=False, no_bounce=True)


def silence(play):
    """The link is cut without a word, and comes back: exactly once."""
    play.begin()
    play.say(20)
    play.check(20)
    play.say(10, 0)
    play.ours.lab.cut_servers()
    play.say(20)
    play.rest(4)
    play.ours.lab.mend()
    play.say(10)
    play.check(60, no_bounce=True)


def long_silence(play):
    """So long that both sides give the stream up."""
    play.begin()
    play.say(20)
    play.check(20)
    play.ours.lab.cut(play.theirs.site)
    play.say(20)
    play.rest(12)
    play.ours.lab.mend()
    play.they_return()
    play.say(10)
    play.check(60, once=False)


def names_down(play):
    """The first message meets no DNS; it is held."""
    play.we.come()
    play.they.come()
    play.ours.names.stop()
    play.say(5)
    play.rest(3)
    play.ours.names.start()
    play.check(60, no_bounce=True)


def own_crash(play):
    """We are killed with messages queued."""
    play.begin()
    play.say(5)
    play.check(20)
    play.theirs.stop()
    play.say(20)
    play.rest(1)
    play.ours.kill()
    play.theirs.start()
    play.ours.start()
    play.they_return()
    play.we_return()
    play.check(60, once=False)


def expiry(play):
    """Nobody is there for long: all comes back, in the end."""
    play.begin()
    play.theirs.stop()
    play.say(5)
    play.check(60)
    play.theirs.start()
    if len(play.bounced) != 5:
        raise Lost(f"{len(play.bounced)} came back")


def presence(play):
    """Contacts of a lost domain go, and return with it."""
    play.begin()
    play.rest(1)
    play.we.stream.queue.clear()
    play.ours.lab.cut_servers()
    play.say(1)
    play.await_presence("unavailable", 40)
    play.ours.lab.mend()
    play.await_presence(None, 60)


def nowhere(play):
    """A domain that does not exist: at once."""
    play.we.come()
    began = time.monotonic()
    play.we.say("nobody@nowhere.lab", "hello")
    error = play.we.wait("message", "nobody@nowhere.lab", lambda element:
                         element.get("type") == "error", 10)
    if error.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}"
                  "remote-server-not-found") is None:
        raise Lost("another error came")
    if time.monotonic() - began > 3:
        raise Lost(f"it took {time.monotonic() - began:.1f} s")


FAULTS = {
    "peer restarted": restart,
    "peer killed": crash,
    "link cut in silence": silence,
    "link cut for long": long_silence,
    "no DNS": names_down,
    "killed with messages queued": own_crash,
    "unreachable for too long": expiry,
    "presence of a lost domain": presence,
    "no such domain": nowhere,
}


def play_one(lab, names, peer, fault):
    """On servers and domains of its own."""
    number = len(lab.zone)
    first, second = lab.fresh_site(), lab.fresh_site()
    ours_at = lab.add(Domain(f"ours{number}.fault.lab", first))
    theirs_at = lab.add(Domain(f"theirs{number}.fault.lab", second))
    names.start()
    ours = KINDS["jackdaw"](lab, names, [ours_at], s2s=SETTINGS, more=IDLE)
    options = {"s2s": SETTINGS, "more": IDLE} if peer == "jackdaw" else {}
    theirs = KINDS[peer](lab, names, [theirs_at], **options)
    for server in (ours, theirs):
        server.start()
    play = Play(ours, theirs)
    try:
        fault(play)
    finally:
        play.end()
        for server in (ours, theirs):
            if server.process is not None:
                server.stop()
        if names.process is not None:
            names.stop()


def play(lab, names, peer, wanted):
    for name, fault in FAULTS.items():
        if wanted in name:
            print(attempt(f"fault {peer}: {name}", play_one, lab, names,
                          peer, fault), flush=True)
