"""Steps: raw connections, TLS, SASL and resource binding."""

import ssl

from . import authority, client, openssl, sasl
from .steps import Failed, step
from .stream import STREAMS

MOST_SESSIONS = 200
STREAM_ERROR = f"{{{STREAMS}}}error"
# The steps that every driver knows; the others are about bytes of TLS or SASL.
IN_WORLD = ("opens", "starts_stream", "authenticates", "binds")


def tls_version(text):
    name = "TLSv" + text.replace(".", "_").removesuffix("_0")
    return getattr(ssl.TLSVersion, name)


class Secure:
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

    @step(r"(\w+) opens with (?:(self-signed|expired) )?certificate of ([\w ,]+)")
    def opens_with_certificate(self, who, kind, names):
        jids = [self.variables[name] for name in names.split(" and ")
                if name != "none"]
        certificate = authority.client_certificate(
            self.options.folder, jids, self.options.client_ca, kind)
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

    @step(r"(\w+) authenticates as (\w+)(?: with (\S+)(?: by (\S+))?)?")
    def authenticates(self, who, name, mechanism, binding):
        client.authenticate(self.stream(who), self.account_of(name),
                            mechanism, binding)

    def attempt(self, who, name, mechanism, fault):
        """What ends such an exchange, and its state."""
        account, stream = self.account_of(name), self.stream(who)
        state = sasl.start(mechanism, account.user, account.password,
                           stream.tls, fault)
        return client.sasl_exchange(stream, mechanism, state), state

    @staticmethod
    def condition_of(end):
        """That of the failure that ended an exchange."""
        got = [child.tag.removeprefix(client.SASL) for child in end
               if child.tag != client.SASL + "text"]
        if end.tag != client.SASL + "failure" or len(got) != 1:
            raise Failed(f"got {client.show(end)}")
        return got[0]

    @step(r"(\w+) fails to authenticate as (\w+) with (\S+), ([\w ]+): (.+)")
    def fails_to_authenticate(self, who, name, mechanism, fault, names):
        end, state = self.attempt(who, name, mechanism, fault)
        got = self.condition_of(end)
        if fault == "unknown user" and state.challenges == 0 and \
                mechanism.startswith("SCRAM"):
            raise Failed("an unknown user got no challenge")
        if got not in names.split():
            raise Failed(f"got {got}")

    @step(r"(\w+) runs out of retries as (\w+) with (\S+): (.+)")
    def runs_out(self, who, name, mechanism, names):
        """RFC 6120, section 6.4.5: 2 to 5 retries, then a stream error."""
        stream, attempts = self.stream(who), 0
        while attempts < 7 and not stream.queue:
            end, _ = self.attempt(who, name, mechanism, "wrong password")
            if end.tag == STREAM_ERROR:  # it took its time
                stream.queue.appendleft(("element", end))
                break
            self.condition_of(end)
            attempts += 1
            stream.pump(self.options.quiet)
        self.receives_stream_error(who, names)
        if not 3 <= attempts <= 6:
            raise Failed(f"after {attempts} attempts")

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
