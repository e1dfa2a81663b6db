"""What a client has seen, for scenarios to wait for."""

import threading
import time

PATIENCE_S = 180  # only for what hangs


class Missing(Exception):
    """What a scenario waited for did not come."""


class Story:
    """What happened, each with its time, for who looks into a failure."""

    def __init__(self):
        self.lines = []

    def tell(self, what):
        self.lines.append(f"{time.strftime('%H:%M:%S')} {what}")


class Inbox:
    """Events are tuples; the first word says what kind the rest is of:

    ("online",)                  logged in, roster fetched, presence sent
    ("offline",)                 the stream is gone
    ("resumed",)                 a session went on that had lost its stream
    ("subscribe", jid)           somebody asks for our presence
    ("roster", jid, state)       that contact's subscription is now `state`
    ("presence", jid, show)      available, away, dnd or unavailable
    ("message", jid, text)       a chat message; jid is "me" for one that
                                 another device of the user sent
    JIDs are bare.
    """

    def __init__(self, name):
        self.name, self.seen, self.story = name, [], Story()
        self.changed = threading.Condition()

    def put(self, *event):
        with self.changed:
            self.seen.append(event)
            self.story.tell(" ".join(map(str, event)))
            self.changed.notify_all()

    def clear(self):
        with self.changed:
            self.seen.clear()

    def await_all(self, events, timeout=PATIENCE_S):
        """Waits for all of them, in whatever order they come; drops none."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while missing := [e for e in events if e not in self.seen]:
                left = deadline - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    raise Missing(f"{self.name} did not see {missing}, "
                                  f"but {self.seen[-6:]}")

    def expect(self, *event, timeout=PATIENCE_S):
        """Waits for the event and drops it and all that came before."""
        self.expect_all([event], timeout)

    def expect_all(self, events, timeout=PATIENCE_S):
        """Waits for all of them, in whatever order they come."""
        with self.changed:
            self.await_all(events, timeout)
            del self.seen[:1 + max(map(self.seen.index, events))]

    def messages(self, *last, timeout=PATIENCE_S):
        """All that came until that message, without it, and drops them."""
        with self.changed:
            self.await_all([("message", *last)], timeout)
            end = self.seen.index(("message", *last))
            came = [event[1:] for event in self.seen[:end]
                    if event[0] == "message"]
            del self.seen[:end + 1]
            return came
