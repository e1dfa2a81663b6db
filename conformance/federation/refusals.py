"""Certificates that are not good, and what is switched off: refused in both
directions, with words for the administrator, in the log and from `jackdaw s2s
check`."""

import json
from dataclasses import dataclass

from checkup import checkup_fails, checkup_is_well
from lab import Domain
from servers import KINDS, until
from matrix import report, stop_all
from talk import NS, Lost, Person, converse


@dataclass
class Refusal:
    """How their certificate is wrong, and a word that the log must have."""
    name: str
    certificate: str
    word: str
    proof: str = "both"  # how we treat that domain
    has_tls: bool = True
    ours: Domain = None
    theirs: Domain = None


CASES = (
    Refusal("an expired certificate", "expired", "expired"),
    Refusal("a certificate of another name", "wrong-name", "elsewhere.lab"),
    Refusal("a self-signed certificate", "self-signed", "self-signed"),
    Refusal("a certificate of an unknown authority", "unknown-ca",
            "authority"),
    Refusal("dialback, which is off", "self-signed", "self-signed",
            "external"),
    Refusal("a server without TLS", "good", "TLS", has_tls=False),
)


def is_error(element):
    return element.get("type") == "error"


def refused_out(case, we, ours):
    """What we send comes back with an error, and the log says why."""
    to = f"romeo@{case.theirs.name}"
    we.come()
    we.say(to, "out")
    we.wait("message", to, is_error)
    lines = [line for line in ours.output().splitlines()
             if case.theirs.name in line and case.word in line]
    if not lines:
        raise Lost(f"no line of the log has {case.theirs.name} and "
                   f"\"{case.word}\"")


def refused_in(we, they):
    """What they send comes back to them, and does not arrive."""
    they.come()
    they.say(we.jid, "in")
    they.wait("message", we.jid, is_error)
    we.expect("", "<ping xmlns='urn:xmpp:ping'/>")
    if any(event[0] == "element" and event[1].findtext(NS + "body") == "in"
           for event in we.stream.queue):
        raise Lost("a message came in")
    they.leave()


def refuse(case, ours, theirs):
    checkup_fails(ours, case.ours.name, case.theirs.name, case.word)
    we = Person(ours, "juliet", case.ours.name)
    refused_out(case, we, ours)
    # Clients cannot log in to a server without TLS either.
    if case.has_tls:
        refused_in(we, Person(theirs, "romeo", case.theirs.name))
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


def has_line(server, *words):
    return any(all(word in line for word in words)
               for line in server.output().splitlines())


def reloaded(case, ours, theirs):
    """Only dialback is enough now: what a certificate proved ends, and they
    talk by another stream."""
    ours.proofs[case.ours.name] = "dialback"
    ours.config.write_text(ours.config_text())
    done = ours.ask("reload")
    if done.returncode != 0:
        raise Lost(f"reload ended with {done.returncode}: {done.stderr}")
    until("the stream ends", lambda: has_line(
        ours, case.theirs.name, "policy-violation", "s2s.proofs"))
    converse(Person(ours, "juliet", case.ours.name),
             Person(theirs, "romeo", case.theirs.name))
    if not has_line(ours, case.theirs.name, case.ours.name, "dialback"):
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
    # TLS is on or off for all domains of an ejabberd.
    cases = [case for case in CASES if wanted in case.name and
             (case.has_tls or peer == "prosody")]
    fine = Refusal("a certificate for servers only", "server-only", "")
    like = Refusal("another Jackdaw", "good", "")
    for index, case in enumerate((*cases, fine, like)):
        site = lab.fresh_site() if case is like else lab.sites[1]
        case.ours = lab.add(Domain(f"ours{index}.refuse.lab", lab.sites[0]))
        case.theirs = lab.add(Domain(f"theirs{index}.refuse.lab", site,
                                     certificate=case.certificate))
    add_lost_ways(lab)
    names.start()
    everyone = (*cases, fine, like)
    ours = KINDS["jackdaw"](
        lab, names, [case.ours for case in everyone],
        {case.ours.name: case.proof for case in everyone},
        s2s={"connect_timeout": "10 s"})
    theirs = KINDS[peer](
        lab, names, [case.theirs for case in (*cases, fine)],
        without_tls=[case.theirs.name for case in cases
                     if not case.has_tls])
    third = KINDS["jackdaw"](lab, names, [like.theirs])
    for server in (ours, theirs, third):
        server.start()
    name = f"refusal {peer}"
    for case in cases:
        report(f"{name}: {case.name}", refuse, case, ours, theirs)
    report(f"{name}: {fine.name} is accepted", accept, fine, ours, theirs)
    report(f"{name}: {like.name} is accepted", accept, like, ours, third)
    report(f"{name}: a reload ends what it forbids", reloaded, like, ours,
           third)
    report(f"{name}: a checkup of lost ways", lost_ways, lab, ours,
           fine.ours.name)
    report(f"{name}: a checkup without DNS", names_are_down, names, ours,
           fine.ours.name)
    stop_all(name, ours, theirs, third)
