"""Certificates that are not good, and what is switched off: refused in both
directions, with words for the administrator."""

from dataclasses import dataclass

from lab import Domain
from servers import KINDS
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
    we = Person(ours, "juliet", case.ours.name)
    refused_out(case, we, ours)
    # Clients cannot log in to a server without TLS either.
    if case.has_tls:
        refused_in(we, Person(theirs, "romeo", case.theirs.name))
    we.leave()


def play(lab, names, peer, wanted):
    cases = [case for case in CASES if wanted in case.name]
    fine = Refusal("a certificate for servers only", "server-only", "")
    for case in (*cases, fine):
        index = cases.index(case) if case in cases else len(cases)
        case.ours = lab.add(Domain(f"ours{index}.refuse.lab", lab.sites[0]))
        case.theirs = lab.add(Domain(f"theirs{index}.refuse.lab",
                                     lab.sites[1],
                                     certificate=case.certificate))
    names.start()
    everyone = (*cases, fine)
    ours = KINDS["jackdaw"](
        lab, names, [case.ours for case in everyone],
        {case.ours.name: case.proof for case in everyone})
    theirs = KINDS[peer](
        lab, names, [case.theirs for case in everyone],
        without_tls=[case.theirs.name for case in cases
                                  if not case.has_tls])
    for server in (ours, theirs):
        server.start()
    for case in cases:
        report(f"refusal {peer}: {case.name}", refuse, case, ours, theirs)
    report(f"refusal {peer}: {fine.name} is accepted", converse,
           Person(ours, "juliet", fine.ours.name),
           Person(theirs, "romeo", fine.theirs.name))
    stop_all(f"refusal {peer}", ours, theirs)
    names.stop()
