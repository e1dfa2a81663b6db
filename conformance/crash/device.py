"""A client with stream management (XEP-0198) that never gives up: it sends as
fast as it may, and what was not acknowledged it sends again with the same id,
as section 5 wants it."""

import collections
import random
import threading
import time

from runner import client, sasl
from runner.stream import CLIENT

DELAY = "{urn:xmpp:delay}delay"
SM = "urn:xmpp:sm:3"
MESSAGE, PRESENCE, IQ, ERROR = (
    f"{{{CLIENT}}}{name}" for name in ("message", "presence", "iq", "error"))
MODULUS = 1 << 32
WINDOW = 80  # stanzas that may be unacknowledged
BURST = 8
PATIENCE_S = 60  # to leave
TROUBLE = (client.ClientError, sasl.SaslError, OSError)


class Diary:
    """What one account's device sent and saw, over all its streams."""

    def __init__(self):
        self.acked = {}  # message id: the bare JID it went to
        self.refused = {}  # ids that came back as errors: with which
        self.sent_again = set()  # ids that a crash left unacknowledged
        self.received = set()  # ids
        self.twice = []  # (id, history) seen again in one history
        self.again = 0  # seen again in another one
        self.resumed = self.failed = 0


class Device(threading.Thread):
    """Online from start() until finish(); its account's only one."""

    def __init__(self, dialer, account, targets, seed):
        super().__init__(daemon=True)
        self.dialer, self.account, self.targets = dialer, account, targets
        self.random = random.Random(f"{seed}-{account.user}")
        self.diary = Diary()
        self.queue = collections.deque()  # (id, to, text) not acknowledged
        self.stream = None
        self.sm_id = None
        self.sent_h = self.handled = 0  # acknowledged to us, counted by us
        self.history, self.seen = 0, {}  # id: how it came
        self.number = 0
        self.is_online = threading.Event()
        self.may_send, self.is_over = threading.Event(), threading.Event()
        self.may_send.set()
        self.fault = self.why = None  # why it gave up; why it reconnects

    # --- acknowledgement ---------------------------------------------------

    def cover(self, h):
        """All up to the server's count is its own from now on."""
        count = (h - self.sent_h) % MODULUS
        if count > len(self.queue):
            raise AssertionError(f"{self.account.jid}: h={h} is too high")
        for _ in range(count):
            message_id, to, _ = self.queue.popleft()
            if message_id:
                self.diary.acked[message_id] = to
        self.sent_h = h

    def put(self, message_id, to, text):
        self.queue.append((message_id, to, text))
        return text

    # --- the stream --------------------------------------------------------

    def connect(self):
        self.stream = stream = self.dialer.open([], "direct")
        stream.log = collections.deque(maxlen=20)
        client.start_stream(stream, self.account.host)
        client.authenticate(stream, self.account)
        client.start_stream(stream, self.account.host)
        if not (self.sm_id and self.resume()):
            self.bind()
        # What is on its way again, and only then what is new.
        stream.send("".join(text for _, _, text in self.queue) +
                    f"<r xmlns='{SM}'/>")
        self.is_online.set()

    def resume(self):
        self.stream.send(f"<resume xmlns='{SM}' previd='{self.sm_id}' "
                         f"h='{self.handled}'/>")
        event = self.stream.next()
        if event is None or event[0] != "element":
            raise client.ClientError("no answer to resume")
        element = event[1]
        h = int(element.get("h", self.sent_h))
        # After a crash the server may remember less than it had told.
        if (h - self.sent_h) % MODULUS < MODULUS // 2:
            self.cover(h)
        if element.tag == f"{{{SM}}}resumed":
            self.diary.resumed += 1
            return True
        if element.tag != f"{{{SM}}}failed":
            raise client.ClientError(f"resume: {client.show(element)}")
        self.diary.failed += 1
        self.sm_id = None
        return False

    def bind(self):
        self.queue = collections.deque(each for each in self.queue if each[0])
        self.diary.sent_again.update(each[0] for each in self.queue)
        client.bind(self.stream, "device")
        self.stream.send(f"<enable xmlns='{SM}' resume='true'/>")
        enabled = client.expect(self.stream, f"{{{SM}}}enabled")
        self.sent_h = self.handled = 0
        self.sm_id = enabled.get("id")
        self.history += 1
        self.seen = {}
        self.queue.appendleft((None, None, "<presence/>"))

    def read(self, seconds):
        event = self.stream.next(seconds)
        while event is not None:
            if event[0] != "element":
                raise client.ClientError(client.say(event))
            self.take(event[1])
            event = self.stream.queue and self.stream.queue.popleft() or None

    def take(self, element):
        if element.tag == f"{{{SM}}}r":
            self.stream.send(f"<a xmlns='{SM}' h='{self.handled}'/>")
        elif element.tag == f"{{{SM}}}a":
            self.cover(int(element.get("h")))
        elif element.tag in (MESSAGE, PRESENCE, IQ):
            self.handled = (self.handled + 1) % MODULUS
            if element.tag == MESSAGE:
                self.hear(element)
        else:
            raise client.ClientError(client.show(element))

    def hear(self, message):
        diary, message_id = self.diary, message.get("id")
        how = "live" if message.find(DELAY) is None else "late"
        if message.get("type") == "error":
            diary.refused[message_id] = client.show(message.find(ERROR))
        elif message_id in self.seen:
            diary.twice.append((message_id, f"{self.history}, "
                                f"{self.seen[message_id]} and {how}"))
        else:
            self.seen[message_id] = how
            diary.again += message_id in diary.received
            diary.received.add(message_id)

    # --- sending -----------------------------------------------------------

    def speak(self):
        texts = []
        for _ in range(min(BURST, WINDOW - len(self.queue))):
            self.number += 1
            message_id = f"{self.account.user}-{self.number}"
            to = self.random.choice(self.targets)
            texts.append(self.put(
                message_id, to, f"<message to='{to}' type='chat' "
                f"id='{message_id}'><body>{message_id} "
                f"{'x' * self.random.randrange(300)}</body></message>"))
        if texts:
            self.stream.send("".join(texts) + f"<r xmlns='{SM}'/>")

    def live(self):
        """Until the stream breaks, which now and then it does by itself."""
        while not self.is_over.is_set():
            room = len(self.queue) < WINDOW - BURST
            if self.may_send.is_set() and self.targets and room:
                self.speak()
                # Now a flood, now what a commit holds few of.
                self.read(max(0, self.random.uniform(-0.03, 0.03)))
            else:
                self.read(0.1)
            if self.random.random() < 0.0005:
                self.stream.drop()
                raise client.ClientError("dropped")

    def leave(self):
        """Ends the session, so that what it was not sent waits for others."""
        self.stream.send(f"<a xmlns='{SM}' h='{self.handled}'/>"
                         "</stream:stream>")
        event = self.stream.next()
        while event is not None and event[0] == "element":
            self.take(event[1])
            event = self.stream.next()

    def run(self):
        has_left = False
        while not has_left:
            try:
                self.connect()
                self.live()
                self.leave()
                has_left = True
            except AssertionError as err:
                self.fault = str(err)
                return
            except TROUBLE as err:
                self.why = err
            self.is_online.clear()
            if self.stream is not None and not self.stream.ended:
                self.stream.close()
            time.sleep(0.05)

    def settle(self, deadline):
        """No new messages; True when all that were sent are acknowledged."""
        self.may_send.clear()
        while self.queue or not self.is_online.is_set():
            if time.monotonic() > deadline or not self.is_alive():
                return False
            time.sleep(0.05)
        return True

    def finish(self):
        self.is_over.set()
        self.join(PATIENCE_S)
