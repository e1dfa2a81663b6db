"""What breaks: peers, links, names, ourselves. What was accepted arrives, or
comes back to its sender.

Nothing here waits for a time to pass that a slow machine needs longer for: each
step begins when what it needs is there, and PATIENCE_S is only for what never
comes."""

import time
from concurrent.futures import ThreadPoolExecutor

from abilities import can
from lab import PATIENCE_S, Domain
from servers import KINDS, fresh_id
from matrix import report
from talk import NS, Lost, Person, befriend, take_all

# Shorter than the presets, so that a test sees them pass; what waits is held for
# as long as the slowest machine may need.
SETTINGS = {"presence_lost": "3 s", "connect_timeout": "10 s",
            "hold_messages": "30 min", "hold_others": "2 min"}
PRESENCE_WAITS_S = 15  # where it is not to be sent in time
LOOKS = 50  # for a stream that must not come, a tenth of a second apart


def limits(idle_timeout_s):
    """Of clients too; those of the lab answer pings unless they work."""
    return f"limits: {{idle_ping: 3 s, idle_timeout: {idle_timeout_s} s}}\n"


class Play:
    """Two people on two servers, and a count of what they said."""

    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs
        self.we = Person(ours, "juliet", ours.domains[0].name, True)
        self.they = Person(theirs, "romeo", theirs.domains[0].name)
        self.people = (self.we, self.they)
        self.said, self.heard, self.bounced = [], [], []
        self.bodies = {}  # by id: an error need not repeat them
        self.resumes = can(theirs.name, "resumption")

    @property
    def link(self):
        return self.ours.link(self.theirs.domains[0].name)

    def begin(self, is_theirs=False):
        """The server of who asks first opens the stream."""
        self.we.come()
        self.they.come()
        befriend(*(reversed(self.people) if is_theirs else self.people))

    def say(self, count, pause=0.02):
        for _ in range(count):
            if not self.we.is_online():
                raise Lost("our own server left us")
            body = fresh_id()
            self.bodies[self.we.say(self.they.jid, body)] = body
            self.said.append(body)
            self.rest(pause)

    def rest(self, seconds):
        """Time passes; both clients stay."""
        end = time.monotonic() + seconds
        while True:
            for person in self.people:
                person.rest(0.01)
            if time.monotonic() >= end:
                return
            time.sleep(0.01)

    def meanwhile(self, task, *words):
        """The same for as long as that takes."""
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(task, *words)
            while not done.done():
                self.rest(0.02)
            return done.result()

    def until(self, what, holds):
        deadline = time.monotonic() + PATIENCE_S
        while not self.meanwhile(holds):
            if time.monotonic() > deadline:
                raise Lost(f"in vain we waited until {what}")
            self.rest(0.05)

    def until_acked(self):
        """Our server took all that our client said upon itself."""
        self.we.acks.ask()
        self.until("all is acknowledged", self.we.acks.has_all)

    def until_heard(self):
        """Something of what was said last."""
        known = len(self.heard)

        def is_more():
            self.collect_all()
            return len(self.heard) > known
        self.until("something arrives", is_more)

    def until_given_up(self):
        self.until("the stream is given up",
                   lambda: self.link["state"] != "connected")

    def must_be_resumed(self, is_theirs=False):
        """By who had opened it."""
        link = self.theirs.link(self.ours.domains[0].name) if is_theirs \
            else self.link
        if not any(each.get("resumed") for each in link["streams"]):
            raise Lost(f"nothing was resumed: {link}")

    def must_repeat(self):
        """Otherwise the case has shown nothing of what comes twice."""
        if len(self.heard) == len(set(self.heard)):
            raise Lost("nothing came twice")

    def until_sent(self):
        """Their server has all. Who logs in there before may find that it
        put away for later what came at that moment: that is ejabberd's way
        to keep messages, and no order is kept then."""
        self.until("all was sent", lambda: self.link["queued"] == 0)

    def await_presence(self, stanza_type):
        deadline = time.monotonic() + 2 * PATIENCE_S
        while True:
            self.rest(0.1)
            try:
                return self.we.wait_type("presence", self.they.jid,
                                         stanza_type, 0)
            except Lost:
                if time.monotonic() > deadline:
                    raise

    def body_of(self, event):
        """Each copy bears the id that our client gave it."""
        if event[0] != "element" or event[1].tag != NS + "message":
            return None
        known = self.bodies.get(event[1].get("id"))
        body = event[1].findtext(NS + "body") or known
        if body in self.said and body != known:
            raise Lost(f"{body} came as {event[1].get('id')}")
        return body

    def collect(self, person, into, is_wanted):
        def look(event):
            body = self.body_of(event)
            return body if body is not None and is_wanted(event[1]) else None

        into += take_all(person.stream, look)

    def collect_all(self):
        self.collect(self.they, self.heard,
                     lambda element: element.get("type") != "error")
        self.collect(self.we, self.bounced,
                     lambda element: element.get("type") == "error")

    def missing(self):
        return set(self.said) - set(self.heard) - set(self.bounced)

    def listen(self):
        """Until all was heard or came back."""
        deadline = time.monotonic() + PATIENCE_S
        self.collect_all()
        while self.missing():
            if time.monotonic() > deadline:
                lost = self.missing()
                first = min(map(self.said.index, lost))
                raise Lost(f"{len(lost)} of {len(self.said)} are lost, the "
                           f"first is number {first}")
            if self.theirs.process is not None and \
                    not self.they.is_online():
                self.they_return()
            self.rest(0.05)
            self.collect_all()

    def cut_answers(self):
        self.ours.lab.cut_answers(self.ours.site, self.theirs.site)

    def check(self, once=True):
        self.listen()
        if not self.they.is_online():
            self.they_return()
        self.they.prove()
        if self.bounced:
            raise Lost(f"{len(self.bounced)} came back")
        if not once:
            return
        # Perhaps something comes twice: what was sent before this did.
        self.we.expect(self.theirs.domains[0].name,
                       "<ping xmlns='urn:xmpp:ping'/>")
        self.rest(0.5)
        self.collect_all()
        if len(self.heard) != len(self.said):
            raise Lost(f"of {len(self.said)}, {len(self.heard)} were heard")
        if self.heard != self.said:
            raise Lost("they came in another order")

    def they_return(self):
        """Their client logs in again after its server was gone."""
        self.they.stream.close()
        self.they.come()

    def we_return(self):
        self.we.stream.close()
        self.we.come()

    def end(self):
        for person in self.people:
            if person.stream is not None:
                person.stream.close()


def restart(play):
    play.begin()
    play.say(20)
    play.check()
    play.meanwhile(play.theirs.stop)
    play.say(20)
    play.meanwhile(play.theirs.start)
    play.until_sent()
    play.they_return()
    play.listen()
    play.say(20)
    play.check()


def crash(play):
    """Their server is killed: at least once, for what it had not taken."""
    play.begin()
    play.say(20)
    play.check()
    # What others write may stand on their disk seconds later; then they know
    # neither accounts nor contacts.
    play.until("their contact is on the disk", lambda:
               play.theirs.has_written(play.ours.domains[0].name))
    # Others acknowledge what they have not yet handed on.
    play.say(20 if play.theirs.name == "jackdaw" else 0, 0)
    play.theirs.kill()
    play.say(20)
    play.meanwhile(play.theirs.start)
    play.until_sent()
    play.they_return()
    play.listen()
    play.say(20)
    play.check(once=False)


def silence(play):
    """The link is cut without a word, and comes back before anybody gives it
    up: exactly once."""
    play.begin()
    play.say(20)
    play.check()
    play.say(10, 0)
    play.ours.lab.cut_servers()
    play.say(20)
    play.rest(4)
    play.ours.lab.mend()
    play.say(10)
    play.check()


def long_silence(play):
    """So long that we give the stream up. Between two of us that is still
    exactly once; others cannot go on where they stopped."""
    play.begin()
    play.say(20)
    play.check()
    play.ours.lab.cut_servers()
    play.say(20)
    play.until_given_up()
    play.ours.lab.mend()
    play.until_sent()
    if play.resumes:
        play.must_be_resumed()
    play.listen()
    play.say(10)
    play.check(once=play.resumes)


def lost_answers(play, is_theirs=False):
    """They take what we send, but nothing of what they say arrives, until we
    give the stream up. Who can resume tells us then what it has: still exactly
    once. To others we send it again."""
    play.begin(is_theirs)
    play.say(20)
    play.check()
    play.until_sent()
    play.cut_answers()
    play.say(20)
    play.until_heard()
    play.until_given_up()
    play.ours.lab.mend()
    play.until_sent()
    if play.resumes:
        play.must_be_resumed(is_theirs)
    play.listen()
    play.say(10)
    play.check(once=play.resumes)
    if not play.resumes:
        play.must_repeat()


def lost_answers_on_theirs(play):
    """The same on the stream that they opened, if it is for both ways."""
    lost_answers(play, True)


def names_down(play):
    """The first message meets no DNS; it is held."""
    play.we.come()
    play.they.come()
    play.meanwhile(play.ours.names.stop)
    play.say(5)
    play.until("it was tried", lambda: play.link["state"] == "waiting")
    play.meanwhile(play.ours.names.start)
    play.check()


def leave_queued(play, leave):
    """We go with messages queued, and come back when their server is there."""
    play.begin()
    play.say(5)
    play.check()
    play.meanwhile(play.theirs.stop)
    play.say(20)
    play.until_acked()
    play.meanwhile(leave)
    play.theirs.start()
    play.ours.start()
    play.until_sent()
    play.they_return()
    play.we_return()


def own_crash(play):
    """We are killed with messages queued."""
    leave_queued(play, play.ours.kill)
    play.check(once=False)


def own_restart(play):
    """We are stopped in order: exactly once."""
    leave_queued(play, play.ours.stop)
    play.check()


def own_crash_midway(play):
    """We are killed when they have what we sent, and we do not know it: it
    comes again."""
    play.begin()
    play.say(5)
    play.check()
    play.until_sent()
    play.cut_answers()
    play.say(20)
    play.until_heard()
    play.until_acked()
    play.ours.kill()
    play.ours.lab.mend()
    play.meanwhile(play.ours.start)
    play.until_sent()
    play.we_return()
    play.check(once=False)
    play.must_repeat()


def expiry(play):
    """Nobody is there for long: all comes back, in the end."""
    play.begin()
    play.meanwhile(play.theirs.stop)
    play.say(5)
    play.listen()
    if len(play.bounced) != 5:
        raise Lost(f"{len(play.bounced)} came back")


def leave_unreachable(play, leave):
    """We go with messages queued, and their server never comes back: when we
    do all that was acknowledged is returned."""
    play.begin()
    play.meanwhile(play.theirs.stop)
    play.say(5)
    play.until_acked()
    play.meanwhile(leave)
    play.collect_all()
    if play.bounced:
        raise Lost("they came back before we left")
    play.ours.start()
    play.we_return()
    play.listen()
    if set(play.bounced) != set(play.said):
        raise Lost(f"{play.bounced} came back")


def own_crash_expiry(play):
    leave_unreachable(play, play.ours.kill)


def own_restart_expiry(play):
    leave_unreachable(play, play.ours.stop)


def restart_midway(play):
    """They are stopped while we speak."""
    play.begin()
    play.say(20)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(play.theirs.stop)
        while not ended.done():
            play.say(1, 0.001)
        ended.result()
    play.say(5)
    play.meanwhile(play.theirs.start)
    play.until_sent()
    play.they_return()
    play.check(once=False)


def presence(play):
    """Contacts of a lost domain go, and return with it."""
    play.begin()
    play.until_sent()
    play.we.stream.queue.clear()  # what came before they were friends
    play.ours.lab.cut_servers()
    play.say(1)
    play.await_presence("unavailable")
    play.we.stream.queue.clear()
    play.ours.lab.mend()
    # Prosody answers the first question on a stream of before the cut.
    play.await_presence(None)


def departure(play):
    """Somebody leaves while their domain is lost, and presence no longer waits:
    they learn it all the same."""
    play.begin()
    play.until_sent()
    play.they.stream.queue.clear()
    play.ours.lab.cut_servers()
    play.we.leave()
    play.until_given_up()
    play.until("presence has waited too long",
               lambda: play.link["oldest_s"] > PRESENCE_WAITS_S + 2)
    play.ours.lab.mend()
    play.they.wait_type("presence", play.we.jid, "unavailable")


def unused(play):
    """A stream that nobody uses is closed. That is no loss: nobody connects
    again to see who is there."""
    play.begin()
    play.say(1)
    play.until_sent()
    play.until("streams that nobody uses are closed",
               lambda: not play.link.get("streams"))
    for _ in range(LOOKS):
        play.rest(0.1)
        if play.link.get("streams"):
            raise Lost("it was connected to again")


def nowhere(play):
    """A domain that does not exist: at once, not when it was held long."""
    play.we.come()
    play.we.say("nobody@nowhere.lab", "hello")
    error = play.we.wait("message", "nobody@nowhere.lab", lambda element:
                         element.get("type") == "error")
    if error.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}"
                  "remote-server-not-found") is None:
        raise Lost("another error came")


# Name: (what happens, idle timeout in seconds, what a lab must have, settings).
FAULTS = {
    "peer restarted": (restart, 15, (), {}),
    "peer restarted while we speak": (restart_midway, 15, (), {}),
    "peer killed": (crash, 15, (), {}),
    "link cut in silence": (silence, 90, ("cuts",), {}),
    "link cut for long": (long_silence, 15, ("cuts",), {}),
    "answers cut for long": (lost_answers, 15, ("cuts",), {}),
    "answers cut for long on their stream": (lost_answers_on_theirs, 15,
                                             ("cuts",), {}),
    "no DNS": (names_down, 15, (), {}),
    "killed with messages queued": (own_crash, 15, (), {}),
    "stopped with messages queued": (own_restart, 15, (), {}),
    "killed before it was acknowledged": (own_crash_midway, 15, ("cuts",),
                                          {}),
    "unreachable for too long": (expiry, 15, (), {"hold_messages": "10 s"}),
    "killed, and unreachable for too long": (own_crash_expiry, 15, (),
                                             {"hold_messages": "20 s"}),
    "stopped, and unreachable for too long": (own_restart_expiry, 15, (),
                                              {"hold_messages": "20 s"}),
    "presence of a lost domain": (presence, 15, ("cuts",), {}),
    "somebody leaves a lost domain": (departure, 15, ("cuts",), {
        "hold_messages": f"{PRESENCE_WAITS_S} s",
        "hold_others": f"{PRESENCE_WAITS_S} s"}),
    "streams that nobody uses": (unused, 15, (), {"idle": "3 s"}),
    "no such domain": (nowhere, 15, (), {}),
}

# Others may lose what they acknowledge as they end.
ONLY_OURS = ("peer restarted while we speak",)


def play_one(lab, names, peer, fault):
    """On servers and domains of its own."""
    happens, idle_timeout_s, needs, settings = fault
    lab.need(*needs)
    number = len(lab.zone)
    first, second = lab.fresh_site(), lab.fresh_site()
    ours_at = lab.add(Domain(f"ours{number}.fault.lab", first))
    theirs_at = lab.add(Domain(f"theirs{number}.fault.lab", second))
    ways = {"s2s": SETTINGS | settings, "more": limits(idle_timeout_s)}
    ours = KINDS["jackdaw"](lab, names, [ours_at], **ways)
    theirs = KINDS[peer](lab, names, [theirs_at],
                         **(ways if peer == "jackdaw" else {}))
    try:
        names.start()
        meet(ours, theirs, happens)
    finally:
        lab.mend()
        names.stop()
        for server in (ours, theirs):
            if server.process is not None:
                server.stop()


def meet(ours, theirs, happens):
    for server in (ours, theirs):
        server.start()
    play = Play(ours, theirs)
    try:
        happens(play)
    finally:
        play.end()


def play(lab, names, peer, wanted):
    for name, fault in FAULTS.items():
        if wanted in name and (peer == "jackdaw" or name not in ONLY_OURS):
            report(f"fault {peer}: {name}", play_one, lab, names, peer,
                   fault)
