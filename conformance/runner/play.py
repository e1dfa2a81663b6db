"""Plays one scene: every step of README.md has one method here."""

import re
import ssl
import time

from . import client, openssl, pattern, sasl
from .accounts import fresh
from .scene import SceneError, join_raw, join_xml
from .variables import Variables

STREAM_ERRORS = "{urn:ietf:params:xml:ns:xmpp-streams}"
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
SHORT_SLEEP = 5
MOST_SESSIONS = 200


def tls_version(text):
    name = "TLSv" + text.replace(".", "_").removesuffix("_0")
    return getattr(ssl.TLSVersion, name)


class Failed(Exception):
    """The server did not play its part."""


def step(rule):
    """Marks a method as the meaning of the steps that match the rule."""
    def mark(method):
        method.rule = re.compile(rule.replace("WHO", r"([\w/.-]+)"))
        return method
    return mark


class Player:
    """State of one scene on one server."""

    def __init__(self, scene, dialer, accounts, options):
        self.scene, self.dialer = scene, dialer
        self.source, self.options = accounts, options
        self.variables = Variables()
        self.accounts, self.streams, self.logs = {}, {}, []
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
            for stream in self.streams.values():
                stream.close()

    def cast(self):
        for name, host in self.scene.accounts.items():
            account = self.source.make(name, self.options.hosts[host])
            self.accounts[name] = account
            self.variables[name] = account.jid
            self.variables[name + ".user"] = account.user
            self.variables[name + ".password"] = account.password
        nobody = fresh("nobody", self.options.hosts["host"])
        self.variables["nobody"] = nobody.jid
        self.variables["nobody.user"] = nobody.user

    def run(self, at):
        for rule, method in STEPS:
            words = rule.fullmatch(at.text)
            if words:
                method(self, *words.groups(),
                       **({"block": at.block} if at.block else {}))
                return
        raise SceneError(f"{self.scene.path}:{at.line}: no such step: "
                         f"{at.text}")

    # What steps share.

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

    def settle(self, who):
        """All sent so far has been handled, and what came of it is queued."""
        bound = [(name, stream) for name, stream in self.streams.items()
                 if stream.jid and not stream.ended]
        for name, stream in bound:
            if stream.fence(stream.jid.partition("@")[2].partition("/")[0]) \
                    is None and name == who and not stream.ended:
                raise Failed(f"{name} got no answer to a ping")
        time.sleep(self.options.settle)
        stream = self.stream(who)
        if stream.jid and not stream.ended:
            stream.fence(self.accounts_host(stream))
        while stream.pump(0 if stream.jid else self.options.quiet):
            pass

    @staticmethod
    def accounts_host(stream):
        return stream.jid.partition("@")[2].partition("/")[0]

    # Sessions.

    @step("WHO connects")
    def connects(self, who):
        name, _, resource = who.partition("/")
        account = self.account_of(name)
        log = self.log_for(who)
        stream = self.dialer.login(log, account, resource)
        log.clear()
        self.streams[who] = stream
        self.variables[who] = stream.jid

    @step("WHO comes online")
    def comes_online(self, who):
        if who not in self.streams or self.streams[who].ended:
            self.connects(who)
        self.announce(self.streams[who])

    def announce(self, stream):
        stream.ask("roster-1", "<iq type='get' id='roster-1'>"
                   "<query xmlns='jabber:iq:roster'/></iq>")
        stream.send("<presence/>")
        own = stream.take(
            lambda event: event[0] == "element" and
            event[1].tag == "{jabber:client}presence" and
            event[1].get("from") == stream.jid)
        if own is None:
            raise Failed("its own presence did not come back")

    @step(r"(\w+) and (\w+) are friends")
    def are_friends(self, one, other):
        self.subscribe(one, other)
        self.subscribe(other, one)

    @step(r"(\w+) is subscribed to (\w+)")
    def subscribe(self, one, other):
        """The dance of RFC 6121 section 3.1, in sessions of its own."""
        asker = self.dialer.login([], self.account_of(one), "setup")
        giver = self.dialer.login([], self.account_of(other), "setup")
        try:
            self.announce(asker)
            self.announce(giver)
            self.hand_over(asker, giver, "subscribe")
            self.hand_over(giver, asker, "subscribed")
            for stream in (asker, giver):
                stream.fence(self.accounts_host(stream))
                self.leave(stream)
        finally:
            asker.close()
            giver.close()

    @staticmethod
    def hand_over(sender, taker, kind):
        to = taker.jid.partition("/")[0]
        sender.send(f"<presence type='{kind}' to='{to}'/>")
        if taker.take(lambda event: event[0] == "element" and
                      event[1].get("type") == kind) is None:
            raise Failed(f"{to} got no {kind}")

    def leave(self, stream):
        stream.send("<presence type='unavailable'/>")
        stream.fence(self.accounts_host(stream))
        stream.send("</stream:stream>")
        stream.take(lambda event: event[0] in ("close", "eof"))

    # Sending.

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

    # Receiving.

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

    # Ends.

    @step("WHO disconnects")
    def disconnects(self, who):
        stream = self.stream(who)
        stream.send("</stream:stream>")
        if stream.take(lambda event: event[0] in ("close", "eof")) is None:
            raise Failed("the server's </stream:stream> did not come")
        stream.close()

    @step("WHO drops")
    def drops(self, who):
        self.stream(who).drop()

    @step("WHO closes stream")
    def closes_stream(self, who):
        self.stream(who).send("</stream:stream>")

    # Raw connections.

    @step(r"(\w+) opens(?: (direct|secure))?")
    def opens(self, who, how):
        self.streams[who] = self.dialer.open(self.log_for(who), how or "")

    @step(r"(\w+) opens direct (?:with ALPN (\S+)|without ALPN)")
    def opens_direct(self, who, alpn):
        context = self.dialer.context(alpn and [alpn])
        self.streams[who] = self.dialer.open_with(self.log_for(who), context)

    @step(r"(\w+) opens with TLS ([0-9.]+)")
    def opens_with_version(self, who, version):
        context = self.dialer.context(version=tls_version(version))
        self.streams[who] = self.dialer.open_with(self.log_for(who), context)

    @step(r"(\w+) fails to open with (ALPN|TLS) (\S+)")
    def fails_to_open(self, who, what, value):
        context = self.dialer.context([value]) if what == "ALPN" else \
            self.dialer.context(version=tls_version(value))
        try:
            stream = self.dialer.open_with(self.log_for(who), context)
        except OSError:
            return
        stream.close()
        raise Failed("the handshake was successful")

    @step(r"(\w+) opens with (self-signed )?certificate of ([\w ,]+)")
    def opens_with_certificate(self, who, own, names):
        jids = [self.variables[name] for name in names.split(" and ")
                if name != "none"]
        certificate = openssl.client_certificate(
            self.options.folder, jids,
            None if own else self.options.client_ca)
        context = self.dialer.context(certificate=certificate)
        self.streams[who] = self.dialer.open_with(self.log_for(who), context)

    @step(r"(\w+) resumes the TLS session of (\w+)")
    def resumes(self, who, other):
        session = self.stream(other).tls.session
        context = self.stream(other).tls.context
        self.streams[who] = self.dialer.open_with(
            self.log_for(who), context, session)
        if not self.streams[who].tls.session_reused:
            raise Failed("the server did not take the session up")

    @step(r"(\w+) renegotiates TLS")
    def renegotiates(self, who):
        openssl.renegotiate(self.stream(who).tls)

    @step(r"(\w+) received an XML declaration")
    def received_declaration(self, who):
        if not self.stream(who).reader.declared:
            raise Failed("there was none")

    @step(r"(\w+) is (not offered|offered) (\S+)( first)?")
    def is_offered(self, who, how, mechanism, first):
        offers = client.mechanisms(self.stream(who).features)
        if (mechanism in offers) != (how == "offered") or \
                first and offers[0] != mechanism:
            raise Failed(f"it is offered {', '.join(offers)}")

    @step("WHO connects until (\\S+)")
    def connects_until(self, name, condition):
        """Sessions of one account, up to the limit on them."""
        tag = f"{{urn:ietf:params:xml:ns:xmpp-stanzas}}{condition}"
        for number in range(MOST_SESSIONS):
            stream = self.dialer.open([], "secure")
            self.streams[f"{name}/{number}"] = stream
            client.start_stream(stream, self.account_of(name).host)
            client.authenticate(stream, self.account_of(name))
            client.start_stream(stream, self.account_of(name).host)
            answer = stream.ask("b", "<iq type='set' id='b'><bind xmlns="
                                f"'{client.BIND[1:-1]}'/></iq>")
            if answer is not None and answer.find(f".//{tag}") is not None:
                self.check_error_type(answer)
                return
        raise Failed(f"{MOST_SESSIONS} sessions are no limit")

    @step(r"(\w+) speaks ALPN (\S+)")
    def speaks_alpn(self, who, wanted):
        chosen = self.stream(who).tls.selected_alpn_protocol()
        if chosen != wanted:
            raise Failed(f"the server chose {chosen}")

    @step(r"(\w+) starts stream(?: to (\S+))?")
    def starts_stream(self, who, to):
        client.start_stream(self.stream(who),
                            self.variables.expand(to or "{host}"))

    @step(r"(\w+) starts tls")
    def starts_tls(self, who):
        self.dialer.start_tls(self.stream(who), self.options.domain)

    @step(r"(\w+) negotiates tls( without SNI)?")
    def negotiates_tls(self, who, bare):
        self.dialer.negotiate_tls(
            self.stream(who), None if bare else self.options.domain)

    @step(r"(\w+) negotiates tls or is cut off")
    def negotiates_or_is_cut(self, who):
        try:
            self.dialer.negotiate_tls(self.stream(who), self.options.domain)
        except OSError:
            self.stream(who).close()
            self.stream(who).queue.clear()

    @step(r"(\w+) sees a certificate of (\S+)")
    def sees_certificate(self, who, name):
        name = self.variables.expand(name)
        names = [value for kind, value in self.stream(who).tls.getpeercert()
                 .get("subjectAltName", ()) if kind == "DNS"]
        if name not in names:
            raise Failed(f"it is of {', '.join(names)}")

    # SASL.

    @step(r"(\w+) authenticates as (\w+)(?: with (\S+)(?: by (\S+))?)?")
    def authenticates(self, who, name, mechanism, binding):
        client.authenticate(self.stream(who), self.account_of(name),
                            mechanism, binding)

    def fail_once(self, who, name, mechanism, fault):
        """The condition of the failure that ends the exchange."""
        account, stream = self.account_of(name), self.stream(who)
        state = sasl.start(mechanism, account.user, account.password,
                           stream.tls, fault)
        end = client.sasl_exchange(stream, mechanism, state)
        got = [child.tag.removeprefix(client.SASL) for child in end
               if child.tag != client.SASL + "text"]
        if end.tag != client.SASL + "failure" or len(got) != 1:
            raise Failed(f"got {client.show(end)}")
        if fault == "unknown user" and state.challenges == 0 and \
                mechanism.startswith("SCRAM"):
            raise Failed("an unknown user got no challenge")
        return got[0]

    @step(r"(\w+) fails to authenticate as (\w+) with (\S+), ([\w ]+): (.+)")
    def fails_to_authenticate(self, who, name, mechanism, fault, names):
        got = self.fail_once(who, name, mechanism, fault)
        if got not in names.split():
            raise Failed(f"got {got}")

    @step(r"(\w+) runs out of retries as (\w+) with (\S+): (.+)")
    def runs_out(self, who, name, mechanism, names):
        """RFC 6120, section 6.4.5: 2 to 5 retries, then a stream error."""
        for attempt in range(1, 8):
            stream = self.stream(who)
            if attempt > 1 and stream.pump(self.options.quiet):
                break
            self.fail_once(who, name, mechanism, "wrong password")
        self.receives_stream_error(who, names)
        if not 3 <= attempt - 1 <= 6:
            raise Failed(f"after {attempt - 1} attempts")

    @step(r"(\w+) asks for the salt of (\S+) with (\S+) as (\w+)")
    def asks_for_salt(self, who, user, mechanism, name):
        """Captures {NAME_salt} and {NAME_rounds}, and aborts."""
        stream = self.stream(who)
        state = sasl.start(mechanism, self.variables.expand(user), "",
                           stream.tls)
        stream.send(f"<auth xmlns='{client.SASL_NS}' mechanism='{mechanism}'>"
                    f"{sasl.encode(state.first)}</auth>")
        text = client.expect(stream, client.SASL + "challenge").text
        fields = sasl.fields_of(sasl.decode(text))
        self.variables[f"{name}_salt"] = fields["s"]
        self.variables[f"{name}_rounds"] = fields["i"]
        stream.send(f"<abort xmlns='{client.SASL_NS}'/>")
        client.expect(stream, client.SASL + "failure")

    @step(r"(\w+) binds(?: (\S+))?")
    def binds(self, who, resource):
        self.variables[who] = client.bind(self.stream(who), resource)

    # The rest.

    @step("after ([0-9]+) s")
    def after(self, seconds):
        if int(seconds) > SHORT_SLEEP and not self.options.patient:
            raise SceneError("so long a wait needs fake-time")
        time.sleep(int(seconds))

    @step(r"(\S+) (equals|differs from) (\S+)")
    def compares(self, one, how, other):
        values = [self.variables.expand(text) for text in (one, other)]
        if (values[0] == values[1]) != (how == "equals"):
            raise Failed(f"'{values[0]}' and '{values[1]}'")


STEPS = [(method.rule, method) for method in vars(Player).values()
         if hasattr(method, "rule")]
