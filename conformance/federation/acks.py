"""What a client's server acknowledges to it (XEP-0198)."""

SM = "urn:xmpp:sm:3"
STANZAS = tuple(f"{{jabber:client}}{name}"
                for name in ("message", "presence", "iq"))


class Acks:
    """Stream management on a bound stream, from now on; each stanza must be
    sent by a call of its own."""

    def __init__(self, stream):
        self.stream = stream
        self.sent = self.acked = self.taken = 0
        self.plain_send, self.plain_pump = stream.send, stream.pump
        stream.send(f"<enable xmlns='{SM}'/>")
        if stream.take(self.is_enabled) is None:
            raise OSError("there is no stream management")
        stream.send, stream.pump = self.send, self.pump

    @staticmethod
    def is_enabled(event):
        return event[0] == "element" and event[1].tag == f"{{{SM}}}enabled"

    def send(self, text):
        self.sent += text.startswith(("<message", "<presence", "<iq"))
        self.plain_send(text)

    def pump(self, seconds):
        queue = self.stream.queue
        known = len(queue)
        came = self.plain_pump(seconds)
        fresh = [queue.pop() for _ in range(len(queue) - known)]
        for event in reversed(fresh):
            if not self.take(event):
                queue.append(event)
        return came

    def take(self, event):
        """Whether it is of stream management; stanzas are only counted."""
        tag = event[1].tag if event[0] == "element" else None
        self.taken += tag in STANZAS
        if tag == f"{{{SM}}}r":
            self.plain_send(f"<a xmlns='{SM}' h='{self.taken}'/>")
        elif tag == f"{{{SM}}}a":
            self.acked = int(event[1].get("h"))
        return tag in (f"{{{SM}}}r", f"{{{SM}}}a")

    def ask(self):
        self.plain_send(f"<r xmlns='{SM}'/>")

    def has_all(self):
        """Whether all that was sent is acknowledged."""
        return self.acked == self.sent
