"""Steps: a scripted component, XEP-0114."""

import hashlib

from . import client
from .steps import Failed, step
from .stream import STREAMS, Stream

ACCEPT = "jabber:component:accept"
HANDSHAKE = "{jabber:client}handshake"


def is_ping(event):
    return event[0] == "element" and event[1].get("type") == "get" and \
        event[1].find("{urn:xmpp:ping}ping") is not None


class Component(Stream):
    content = ACCEPT

    def pump(self, seconds):
        """Pings of the server are the machinery's, not scenes'."""
        came = super().pump(seconds)
        for event in [each for each in self.queue if is_ping(each)]:
            self.queue.remove(event)
            element = event[1]
            self.send(f"<iq type='result' id='{element.get('id')}' "
                      f"from='{element.get('to')}' "
                      f"to='{element.get('from')}'/>")
        return came

    def start_stream(self, to):
        self.reader.restart()
        self.send(f"<?xml version='1.0'?><stream:stream to='{to}' "
                  f"xmlns='{ACCEPT}' xmlns:stream='{STREAMS}'>")


class Components:
    @step(r"(\w+) opens to the component port")
    def component_opens(self, who):
        self.streams[who] = Component.dial(
            self.options.component[0], self.log_for(who),
            self.options.timeout)

    @step(r"(\w+) starts component stream(?: to (\S+))?")
    def starts_component_stream(self, who, to):
        stream = self.stream(who)
        stream.start_stream(self.variables.expand(to or "{component}"))
        event = stream.next()
        if event is None or event[0] != "stream":
            raise Failed(f"got {client.say(event)}")
        stream.header = event[1]

    @step(r"(\w+) shakes hands( wrongly)?")
    def shakes_hands(self, who, wrongly):
        """Sends the handshake alone."""
        secret = "wrong" if wrongly else self.options.component[2]
        proof = hashlib.sha1((self.stream(who).header.get("id") + secret)
                             .encode()).hexdigest()
        self.stream(who).send(f"<handshake>{proof}</handshake>")

    @step(r"(\w+) joins as the component")
    def component_joins(self, who):
        self.component_opens(who)
        self.starts_component_stream(who, None)
        self.shakes_hands(who, None)
        client.expect(self.stream(who), HANDSHAKE)
