"""Steps: a push service, XEP-0357: a component that answers what servers
publish, and keeps it for the scene to see."""

from . import client
from .component import HANDSHAKE, Component
from .steps import step

STRAYS = ["{jabber:client}" + kind for kind in ("message", "presence", "iq")]
PUBLISH = "{http://jabber.org/protocol/pubsub}pubsub"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"


def is_publish(element):
    return element.get("type") == "set" and \
        element.find(PUBLISH) is not None


class PushService(Component):
    error = ()
    silent = False

    def __init__(self, *words, **named):
        super().__init__(*words, **named)
        self.answered = set()

    def pump(self, seconds):
        """What else comes to the component is of scenes before."""
        came = super().pump(seconds)
        for kind, element in list(self.queue):
            if kind != "element":
                continue
            if not is_publish(element):
                if element.tag in STRAYS:
                    self.queue.remove((kind, element))
            elif element.get("id") not in self.answered:
                self.answered.add(element.get("id"))
                self.answer(element)
        return came

    def answer(self, publish):
        head = f"id='{publish.get('id')}' from='{publish.get('to')}' " \
               f"to='{publish.get('from')}'"
        if self.silent:
            return
        if not self.error:
            self.send(f"<iq type='result' {head}/>")
            return
        kind, condition = self.error
        self.send(f"<iq type='error' {head}><error type='{kind}'>"
                  f"<{condition} xmlns='{STANZAS}'/></error></iq>")


class Pushes:
    @step(r"(\w+) serves pushes")
    def serves_pushes(self, who):
        """Joins as the component."""
        self.streams[who] = PushService.dial(
            self.options.component[0], self.log_for(who),
            self.options.timeout)
        self.starts_component_stream(who, None)
        self.shakes_hands(who, None)
        client.expect(self.stream(who), HANDSHAKE)

    @step(r"(\w+) refuses pushes with (\S+) (\S+)")
    def refuses_pushes(self, who, kind, condition):
        self.stream(who).error = (kind, condition)

    @step(r"(\w+) accepts pushes")
    def accepts_pushes(self, who):
        self.stream(who).error = ()
        self.stream(who).silent = False

    @step(r"(\w+) leaves pushes unanswered")
    def leaves_pushes(self, who):
        self.stream(who).silent = True
