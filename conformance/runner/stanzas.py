"""Steps: stanzas and other first-level elements are sent and received."""

import re

from . import client, pattern
from .scene import join_raw, join_xml
from .steps import Failed, step

FEATURES = f"{{{pattern.STREAMS}}}features"
STREAM_HEADER = re.compile(r"<(\w+:)?stream\s")
STANZA_ERRORS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
ERROR_TYPES = {
    "bad-request": ("modify",), "conflict": ("cancel",),
    "feature-not-implemented": ("cancel", "modify"), "forbidden": ("auth",),
    "gone": ("cancel",), "internal-server-error": ("cancel",),
    "item-not-found": ("cancel",), "jid-malformed": ("modify",),
    "not-acceptable": ("modify",), "not-allowed": ("cancel",),
    "not-authorized": ("auth",), "policy-violation": ("modify", "wait"),
    "recipient-unavailable": ("wait",), "redirect": ("modify",),
    "registration-required": ("auth",),
    "remote-server-not-found": ("cancel",),
    "remote-server-timeout": ("wait",), "resource-constraint": ("wait",),
    "service-unavailable": ("cancel",), "subscription-required": ("auth",),
    "unexpected-request": ("wait", "modify"),
}


class Stanzas:
    @step("WHO sends:")
    def sends(self, who, block):
        self.stream(who).send(self.variables.expand(join_xml(block)))

    @step("WHO sends raw:")
    def sends_raw(self, who, block):
        text = self.variables.expand(join_raw(block), quote=False)
        if STREAM_HEADER.search(text):
            self.stream(who).reader.restart()
        self.stream(who).send(text)

    @step("WHO sends byte by byte:")
    def sends_bytes(self, who, block):
        text = self.variables.expand(join_raw(block), quote=False)
        if STREAM_HEADER.search(text):
            self.stream(who).reader.restart()
        for byte in text.encode("utf-8", "surrogateescape"):
            self.stream(who).send(bytes([byte]))

    @step("WHO receives:")
    def receives(self, who, block):
        for wanted in self.patterns(block):
            element = self.element(who)
            if element.tag == FEATURES:
                self.stream(who).features = element
            self.check(wanted, element)

    @staticmethod
    def check_error_type(element):
        """RFC 6120 section 8.3.3 recommends a type for each condition."""
        error = element.find("{jabber:client}error")
        if error is None or element.get("type") != "error":
            return
        for child in error:
            usual = ERROR_TYPES.get(child.tag.removeprefix(STANZA_ERRORS))
            if usual and error.get("type") not in usual:
                raise Failed(f"got {client.show(element)}\n"
                             f"whose type should be {' or '.join(usual)}")

    def check(self, wanted, element):
        self.check_error_type(element)
        found = {}
        reason = pattern.why_not(wanted, element, found)
        if reason:
            raise Failed(f"got {client.show(element)}\nwhich {reason}")
        self.capture(found)

    @step("WHO receives in any order:")
    def receives_any_order(self, who, block):
        wanted = self.patterns(block)
        got = [self.element(who) for _ in wanted]
        found = {}
        missing = pattern.assign(wanted, got, found)
        if missing is not None:
            raise Failed("nothing matches " + client.show(missing) +
                         "\namong " + "\n".join(map(client.show, got)))
        self.capture(found)

    @step("WHO receives among others:")
    def receives_among_others(self, who, block):
        for wanted in self.patterns(block):
            dropped = []
            while True:
                event = self.stream(who).next()
                if event is None or event[0] != "element":
                    raise Failed(f"got {client.say(event)}, and before it " +
                                 "\n".join(map(client.show, dropped)))
                found = {}
                if pattern.why_not(wanted, event[1], found) is None:
                    self.capture(found)
                    break
                dropped.append(event[1])

    @step("WHO receives one of:")
    def receives_one_of(self, who, block):
        self.check_any(block, self.element(who))

    def check_any(self, block, element):
        for wanted in self.patterns(block):
            found = {}
            if pattern.why_not(wanted, element, found) is None:
                self.capture(found)
                return
        raise Failed(f"got {client.show(element)}")

    @step("WHO receives at most one of:")
    def receives_at_most(self, who, block):
        self.settle(who)
        if self.stream(who).queue:
            self.check_any(block, self.element(who))

    @step("WHO receives nothing")
    def receives_nothing(self, who):
        self.settle(who)
        if self.stream(who).queue:
            raise Failed(f"got {client.say(self.stream(who).queue[0])}")

    @step("WHO forgets")
    def forgets(self, who):
        self.settle(who)
        self.stream(who).queue.clear()

    @step("all forget")
    def all_forget(self):
        for who, stream in self.streams.items():
            if stream.jid and not stream.ended:
                self.forgets(who)
