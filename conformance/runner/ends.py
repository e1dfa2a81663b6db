"""Steps: streams begin, fail and end."""

from . import client, pattern
from .steps import Failed, step

STREAM_ERRORS = "{urn:ietf:params:xml:ns:xmpp-streams}"


class Ends:
    @step("WHO receives stream:")
    def receives_stream(self, who, block):
        event = self.stream(who).next()
        if event is None or event[0] != "stream":
            raise Failed(f"got {client.say(event)}")
        self.stream(who).header = event[1]
        self.check(self.patterns(block)[0], event[1])

    @step("WHO receives close")
    def receives_close(self, who):
        event = self.stream(who).next()
        if event is None or event[0] != "close":
            raise Failed(f"got {client.say(event)}")

    @step("WHO is closed")
    def is_closed(self, who):
        event = self.stream(who).next()
        if event and event[0] == "close":
            event = self.stream(who).next()
        if event is None or event[0] != "eof":
            raise Failed(f"got {client.say(event)}")
        self.stream(who).close()

    @step("WHO receives stream error: (.+)")
    def receives_stream_error(self, who, names):
        names = names.split()
        event = self.stream(who).next()
        if event and event[0] == "stream":
            self.stream(who).header = event[1]
            event = self.stream(who).next()
        if event and event[0] in ("eof", "close") and \
                any(name.startswith("[") for name in names):
            return
        if event is None or event[0] != "element":
            raise Failed(f"got {client.say(event)}")
        self.check_stream_error(event[1], [n.strip("[]") for n in names])
        self.receives_close(who)
        self.is_closed(who)

    @step("WHO may receive stream error: (.+)")
    def may_receive_stream_error(self, who, names):
        """Also takes a stream header that comes first."""
        self.settle(who)
        queue = self.stream(who).queue
        if queue and queue[0][0] == "stream":
            queue.popleft()
        if queue and (queue[0][0] != "element" or
                      queue[0][1].tag == f"{{{pattern.STREAMS}}}error"):
            self.receives_stream_error(who, names)

    @step("WHO is cut off")
    def is_cut_off(self, who):
        event = self.stream(who).next()
        if event is None or event[0] != "eof":
            raise Failed(f"got {client.say(event)}")

    @step("WHO is thrown out")
    def is_thrown_out(self, who):
        seen = []
        while True:
            event = self.stream(who).next()
            if event and event[0] == "eof":
                return
            seen.append(client.say(event))
            if event is None:
                raise Failed("got " + "\n".join(seen))

    @step("WHO is closed cleanly")
    def is_closed_cleanly(self, who):
        self.is_closed(who)
        if self.stream(who).ragged:
            raise Failed("TLS ended without close_notify")

    @staticmethod
    def check_stream_error(element, names):
        got = [child.tag.removeprefix(STREAM_ERRORS) for child in element
               if child.tag.startswith(STREAM_ERRORS)
               and child.tag != STREAM_ERRORS + "text"]
        if element.tag != f"{{{pattern.STREAMS}}}error" or len(got) != 1 or \
                got[0] not in names:
            raise Failed(f"got {client.show(element)}")
