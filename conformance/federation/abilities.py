"""What each peer can do. What begins with "yes" the parts demand of it; the
table in docs/federation.md says the same, and conformance/lint.py holds both
together."""

PEERS = {"jackdaw": "Jackdaw", "prosody": "Prosody 0.12",
         "ejabberd": "ejabberd 23.01"}
YES = ("yes", "yes", "yes")
# Name: what it is, and for each peer whether it can.
ABILITIES = {
    "meet": ("STARTTLS and direct TLS, IPv4 and IPv6, EXTERNAL, dialback",
             *YES),
    "preset": ("the preset policy: EXTERNAL", *YES),
    "shy": ("the preset policy: dialback, as no certificate is presented",
            "no: it presents its own", "yes", "no: it presents its own"),
    "fallback": ("dialback where a certificate proves nothing "
                 "(`s2s.dialback: always`)", *YES),
    "refusals": ("refused with a bad certificate, without dialback or "
                 "without TLS, both ways", "not played", "yes",
                 "yes; without TLS it leaves by itself when it hears that "
                 "TLS is required"),
    "distrust": ("refuses us where our certificate is bad, and we tell its "
                 "reason", "not played", "yes", "not played"),
    "bidirectional": ("both ways on one stream (XEP-0288)", "yes", "yes",
                      "no: one stream each way"),
    "acks": ("acknowledges what we send (XEP-0198), after EXTERNAL", "yes",
             "yes", "no: pings"),
    "acks after dialback": ("the same after dialback", "yes", "no: pings",
                            "no: pings"),
    "resumption": ("goes on after a cut that ended the stream (XEP-0198)",
                   "yes: all comes exactly once",
                   "no: what it did not acknowledge comes again, with the "
                   "same id", "no: likewise"),
}


def can(peer, what):
    return ABILITIES[what][1 + list(PEERS).index(peer)].startswith("yes")


def who_can(what):
    return tuple(peer for peer in PEERS if can(peer, what))


def table():
    """As a document has it."""
    lines = ["| | " + " | ".join(PEERS.values()) + " |",
             "|" + "---|" * (1 + len(PEERS)),
             *("| " + " | ".join(row) + " |" for row in ABILITIES.values())]
    return "\n".join(lines) + "\n"
