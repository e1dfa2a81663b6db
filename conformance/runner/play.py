"""Plays one scene."""

import shlex
import socket
import subprocess
import time

from . import client, pattern, sasl
from .accounts import fresh
from .component import Components
from .ends import Ends
from .federation import Federation
from .peers import Peer
from .push import Pushes
from .scene import SceneError, join_xml
from .secure import Secure
from .sessions import Sessions
from .stanzas import Stanzas
from .steps import Failed, step, steps_of
from .variables import Variables

SHORT_SLEEP = 5
PATIENCE_S = 120
# How much longer than a ping a stanza may be on its way from session to session.
SLOWER = 4


class Player(Sessions, Stanzas, Ends, Secure, Federation, Components,
             Pushes):
    """State of one scene on one server, and the steps' common ground."""

    def __init__(self, scene, table, options):
        self.scene, self.options = scene, options
        self.dialer, self.source = table.dialer, table.source
        self.foreign = table.peers
        self.variables = Variables()
        self.accounts, self.streams, self.logs = {}, {}, []
        self.peers = {}
        for name, host in options.hosts.items():
            self.variables[name] = host

    def play(self):
        """Raises Failed (or another error) with the step in its text."""
        at = self.scene.steps[0]
        try:
            self.cast()
            for at in self.scene.steps:
                self.run(at)
        except (Failed, client.ClientError, sasl.SaslError) as err:
            raise Failed(f"line {at.line}: {at.text}\n{err}") from err
        except (OSError, ValueError, KeyError) as err:
            raise Failed(f"line {at.line}: {at.text}\n"
                         f"{type(err).__name__}: {err}") from err
        finally:
            for each in (*self.streams.values(), *self.peers.values()):
                each.close()

    def cast(self):
        for name, host in self.scene.accounts.items():
            account = self.source.make(name, self.options.hosts[host])
            self.accounts[name] = account
            self.variables[name] = account.jid
            self.variables[name + ".user"] = account.user
            self.variables[name + ".password"] = account.password
        for name, (how, home) in self.scene.peers.items():
            peer = Peer(self.foreign, name, how, self.peers.get(home))
            self.peers[name] = peer
            self.variables[name] = peer.domain
            self.variables[name + ".ascii"] = peer.ascii
        if self.options.component:
            self.variables["component"] = self.options.component[1]
        nobody = fresh("nobody", self.options.hosts["host"])
        self.variables["nobody"] = nobody.jid
        self.variables["nobody.user"] = nobody.user

    def run(self, at):
        for rule, method in STEPS:
            words = rule.fullmatch(at.text)
            if words:
                method(self, *words.groups(),
                       **({"block": at.block} if at.block else {}))
                self.name_streams()
                return
        raise SceneError(f"{self.scene.path}:{at.line}: no such step: "
                         f"{at.text}")

    def name_streams(self):
        """{WHO.id} is the id of its stream."""
        for name, stream in self.streams.items():
            if stream.id:
                self.variables[name + ".id"] = stream.id

    def stream(self, who):
        if who not in self.streams:
            raise SceneError(f"{who} is not connected")
        return self.streams[who]

    def log_for(self, who):
        log = []
        self.logs.append((who, log))
        return log

    def account_of(self, name):
        if name not in self.accounts:
            raise SceneError(f"there is no account {name}")
        return self.accounts[name]

    def patterns(self, block):
        return pattern.parse(self.variables.expand_pattern(join_xml(block)))

    def capture(self, found):
        for name, value in found.items():
            self.variables[name] = value

    def element(self, who):
        event = self.stream(who).next()
        if event is None or event[0] != "element":
            raise Failed(f"{who} got {client.say(event)}")
        return event[1]

    def fence_all(self, who):
        """Pings on all sessions; how long the slowest answer took."""
        slowest = 0
        for name, stream in list(self.streams.items()):
            if not stream.jid or stream.ended:
                continue
            began = time.monotonic()
            answer = stream.fence(self.accounts_host(stream))
            if answer is None and name == who and not stream.ended:
                raise Failed(f"{name} got no answer to a ping")
            if answer is not None:
                slowest = max(slowest, time.monotonic() - began)
        return slowest

    def settle(self, who):
        """All sent so far has been handled, and what came of it is queued."""
        # What a peer sent has no fence; nor have sessions on its way.
        wait = max(self.options.quiet if self.peers else self.options.settle,
                   self.fence_all(who) * SLOWER)
        while wait:
            wait = min(wait, self.options.timeout)
            began = time.monotonic()
            time.sleep(wait)
            # Where somebody was held up meanwhile, they were, too.
            held = max(time.monotonic() - began - wait, self.fence_all(who))
            wait = held if held > wait else 0
        stream = self.stream(who)
        while stream.pump(0 if stream.jid else self.options.quiet):
            pass

    @staticmethod
    def accounts_host(stream):
        return stream.jid.partition("@")[2].partition("/")[0]

    @step("after ([0-9]+) s")
    def after(self, seconds):
        if int(seconds) > SHORT_SLEEP and not self.options.patient:
            raise SceneError("so long a wait needs fake-time")
        time.sleep(int(seconds))

    @step("server restarts")
    def restarts(self):
        for stream in self.streams.values():
            stream.close()
        subprocess.run(shlex.split(self.options.restart), check=True)
        deadline = time.monotonic() + PATIENCE_S
        where = self.options.address or self.options.direct_tls
        while time.monotonic() < deadline:
            try:
                socket.create_connection(where, 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise Failed("the server did not come back")

    @step(r"(\S+) (equals|differs from) (\S+)")
    def compares(self, one, how, other):
        values = [self.variables.expand(text) for text in (one, other)]
        if (values[0] == values[1]) != (how == "equals"):
            raise Failed(f"'{values[0]}' and '{values[1]}'")


STEPS = steps_of(Sessions, Stanzas, Ends, Secure, Federation, Components,
                 Pushes, Player)
