"""What a client has seen, for scenarios to wait for."""

import threading
import time


class Missing(Exception):
    """What a scenario waited for did not come."""


class Inbox:
    """Events are tuples; the first word says what kind the rest is of:

    ("online",)                  logged in, roster fetched, presence sent
    ("offline",)                 the stream is gone
    ("subscribe", jid)           somebody asks for our presence
    ("roster", jid, state)       that contact's subscription is now `state`
    ("presence", jid, show)      available, away, dnd or unavailable
    ("message", jid, text)       a chat message; jid is "me" for one that
                                 another device of the user sent
    JIDs are bare.
    """

    def __init__(self, name):
        self.name, self.seen = name, []
        self.changed = threading.Condition()

    def put(self, *event):
        with self.changed:
            self.seen.append(event)
            self.changed.notify_all()

    def clear(self):
        with self.changed:
            self.seen.clear()

    def expect(self, *event, timeout=20):
        """Waits for the event and drops it and all that came before."""
        self.expect_all([event], timeout)

    def expect_all(self, events, timeout=20):
        """Waits for all of them, in whatever order they come."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while missing := [e for e in events if e not in self.seen]:
                left = deadline - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    raise Missing(f"{self.name} did not see {missing}, "
                                  f"but {self.seen[-6:]}")
            del self.seen[:1 + max(map(self.seen.index, events))]
