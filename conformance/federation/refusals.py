"""Certificates that are not good, and what is switched off: refused in both
directions, with words for the administrator, in the log and from `jackdaw s2s
check`."""

import json
from dataclasses import dataclass

from abilities import can
from checkup import checkup_fails, checkup_is_well
from lab import Domain
from servers import KINDS, until
from matrix import report, stop_all
from talk import NS, Lost, Person, converse

from runner import client


@dataclass
class Refusal:
    """How a certificate is wrong, and words that the log must have."""
    name: str
    certificate: str
    word: str
    proof: str = "both"  # how our domain treats others
    s2s: str = ""  # our settings for their domain
    has_tls: bool = True
    is_theirs: bool = True  # the certificate
    ours: Domain = None
    theirs: Domain = None


CASES = (
    Refusal("an expired certificate", "expired", "expired"),
    Refusal("a certificate of another name", "wrong-name", "elsewhere.lab"),
    Refusal("a self-signed certificate", "self-signed", "self-signed"),
    Refusal("a certificate of an unknown authority", "unknown-ca",
            "authority"),
    # But for that setting our domain would believe theirs.
    Refusal("dialback, which is off", "self-signed", "self-signed",
            "fallback", "dialback: never"),
    Refusal("a server without TLS", "good", "TLS", has_tls=False),
)


# They trust nothing but certificates, and tell us what they have against ours.
# With one that has expired we would not start. Who refuses us now may not do so
# soon: what is sent there waits so long.
HOLD = "hold_messages: 5 s"
DISTRUST = (
    Refusal("our certificate of another name", "wrong-name",
            "certificate is not valid", s2s=HOLD, is_theirs=False),
    Refusal("our self-signed certificate", "self-signed", "certificate is",
            s2s=HOLD, is_theirs=False),
    Refusal("our certificate of an unknown authority", "unknown-ca",
            "certificate is not trusted", s2s=HOLD, is_theirs=False),
)
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


# Without TLS they hear that we require it; ejabberd then goes by itself.
BARE = {"prosody": "TLS is required", "ejabberd": "unsupported-feature"}


def is_error(element):
    return element.get("type") == "error"


def await_line(server, *words):
    until(f"a line of the log has {words}", lambda: server.has_line(*words))


def refused_out(case, we, ours):
    """What we send comes back with an error, and the log says why."""
    to = f"romeo@{case.theirs.name}"
    we.come()
    we.say(to, "out")
    we.wait("message", to, is_error)
    await_line(ours, "s2s out", case.theirs.name, case.word)


def refused_in(case, we, they, ours, *words):
    """What they send comes back to them, and does not arrive; the log says why
    here, too."""
    they.come()
    they.say(we.jid, "in")
    they.wait("message", we.jid, is_error)
    we.expect("", "<ping xmlns='urn:xmpp:ping'/>")
    if any(event[0] == "element" and event[1].findtext(NS + "body") == "in"
           for event in we.stream.queue):
        raise Lost("a message came in")
    await_line(ours, "s2s in", case.theirs.name, *words)
    they.leave()


def refuse(case, ours, theirs):
    checkup_fails(ours, case.ours.name, case.theirs.name, case.word)
    we = Person(ours, "juliet", case.ours.name)
    refused_out(case, we, ours)
    words = ("closed with", case.word) if case.has_tls else \
        (BARE[theirs.name],)
    refused_in(case, we, Person(theirs, "romeo", case.theirs.name), ours,
               *words)
    we.leave()


def distrust_text(cases):
    """Prosody's setting: certificates of these domains must hold."""
    names = ", ".join(f'"{case.ours.name}"' for case in cases)
    return f"s2s_secure_domains = {{ {names} }}\n" if cases else ""


def domains_text(cases):
    """Our settings for domains of theirs."""
    lines = [f"  {case.theirs.name}: {{s2s: {{{case.s2s}}}}}\n"
             for case in cases if case.s2s]
    return "".join(["domains:\n", *lines]) if lines else ""


def distrusted(case, ours, theirs):
    """The same where they refuse us: sender and log hear what they say."""
    checkup_fails(ours, case.ours.name, case.theirs.name, case.word)
    we = Person(ours, "juliet", case.ours.name)
    they = Person(theirs, "romeo", case.theirs.name)
    we.come()
    we.say(they.jid, "out")
    error = we.wait("message", they.jid, is_error).find(NS + "error")
    if error.find(STANZAS + "remote-server-timeout") is None or \
            case.word not in (error.findtext(STANZAS + "text") or ""):
        raise Lost(f"the sender does not hear it: {client.show(error)}")
    await_line(ours, "s2s out", case.theirs.name, case.word)
    refused_in(case, we, they, ours, case.word)
    we.leave()


def accept(case, ours, theirs):
    """Beside the stream that then carries, too."""
    checkup_is_well(ours, case.ours.name, case.theirs.name)
    told = json.loads(ours.ask("--json", "s2s", "check", case.theirs.name,
                               "--from", case.ours.name).stdout)
    if not told["ok"] or told["domain"] != case.theirs.name or \
            [step for step in told["steps"] if not step["ok"]]:
        raise Lost(f"s2s check --json is not content: {told}")
    converse(Person(ours, "juliet", case.ours.name),
             Person(theirs, "romeo", case.theirs.name))
    checkup_is_well(ours, case.ours.name, case.theirs.name)


def reloaded(case, ours, theirs):
    """Only dialback is enough now: what a certificate proved ends, and they
    talk by another stream."""
    ours.proofs[case.ours.name] = "dialback"
    ours.config.write_text(ours.config_text())
    done = ours.ask("reload")
    if done.returncode != 0:
        raise Lost(f"reload ended with {done.returncode}: {done.stderr}")
    await_line(ours, case.theirs.name, "policy-violation", "s2s.proofs")
    converse(Person(ours, "juliet", case.ours.name),
             Person(theirs, "romeo", case.theirs.name))
    if not ours.has_line(case.theirs.name, case.ours.name, "dialback"):
        raise Lost("it was not dialback that proved the next one")


def lost_ways(lab, ours, host):
    """What DNS and TCP have against it."""
    checkup_fails(ours, host, "nowhere.refuse.lab", "nowhere.refuse.lab",
                  "spelt")
    checkup_fails(ours, host, "shut.refuse.lab", "refused", "firewall")
    checkup_fails(ours, host, host, "served here")
    checkup_fails(ours, "nowhere.refuse.lab", "shut.refuse.lab",
                  "not served here")
    lab.need("cuts")
    checkup_fails(ours, host, "deaf.refuse.lab", "in time", "firewall")


def names_are_down(names, ours, host):
    """For good: nothing comes after it."""
    names.stop()
    checkup_fails(ours, host, "unasked.refuse.lab", "unasked.refuse.lab",
                  "dns.resolvers")


def add_lost_ways(lab):
    """A port where nobody listens, and a machine that answers nothing."""
    deaf = lab.fresh_site()
    for name, site, port in (("shut", lab.sites[1], 9), ("deaf", deaf, 5269)):
        lab.zone += [f"_xmpp-server._tcp.{name}.refuse.lab. SRV 1 1 {port} "
                     f"host.{name}.refuse.lab.",
                     f"host.{name}.refuse.lab. A {site.v4}"]
    if "cuts" not in lab.lacks:
        lab.cut(deaf)
        lab.at_end.append(lab.mend)


def play(lab, names, peer, wanted):
    cases = [case for case in CASES if wanted in case.name]
    strict = [case for case in DISTRUST
              if wanted in case.name and can(peer, "distrust")]
    fine = Refusal("a certificate for servers only", "server-only", "")
    like = Refusal("another Jackdaw", "good", "")
    # TLS is on or off for all domains of an ejabberd.
    apart = [like, *(case for case in cases if not case.has_tls)]
    everyone = (*cases, *strict, fine, like)
    for index, case in enumerate(everyone):
        site = lab.fresh_site() if case in apart else lab.sites[1]
        ours, theirs = (("good", case.certificate) if case.is_theirs else
                        (case.certificate, "good"))
        case.ours = lab.add(Domain(f"ours{index}.refuse.lab", lab.sites[0],
                                   certificate=ours))
        case.theirs = lab.add(Domain(f"theirs{index}.refuse.lab", site,
                                     certificate=theirs))
    add_lost_ways(lab)
    names.start()
    ours = KINDS["jackdaw"](
        lab, names, [case.ours for case in everyone],
        {case.ours.name: case.proof for case in everyone},
        s2s={"connect_timeout": "10 s"}, more=domains_text(everyone))
    usual = KINDS[peer](lab, names, [
        case.theirs for case in everyone if case not in apart],
        more=distrust_text(strict))
    third = KINDS["jackdaw"](lab, names, [like.theirs])
    bare = [KINDS[peer](lab, names, [case.theirs], has_tls=False)
            for case in cases if not case.has_tls]
    servers = (ours, usual, third, *bare)
    for server in servers:
        server.start()
    name = f"refusal {peer}"
    for case in cases:
        report(f"{name}: {case.name}", refuse, case, ours,
               usual if case.has_tls else bare[0])
    for case in strict:
        report(f"{name}: {case.name}", distrusted, case, ours, usual)
    report(f"{name}: {fine.name} is accepted", accept, fine, ours, usual)
    report(f"{name}: {like.name} is accepted", accept, like, ours, third)
    report(f"{name}: a reload ends what it forbids", reloaded, like, ours,
           third)
    report(f"{name}: a checkup of lost ways", lost_ways, lab, ours,
           fine.ours.name)
    report(f"{name}: a checkup without DNS", names_are_down, names, ours,
           fine.ours.name)
    stop_all(name, *servers)
