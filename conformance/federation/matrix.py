"""{peer} x {we connect, they connect} x {EXTERNAL, dialback, both, fallback} x
{STARTTLS, direct TLS} x {IPv4, IPv6}: a conversation each, and what
`jackdaw s2s check` says of it.

EXTERNAL and dialback allow nothing else. "Both" is our default policy, where
good certificates make it EXTERNAL; with the fallback both are allowed as well,
but the certificates prove nothing, so dialback has to do."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

from abilities import can
from checkup import DIRECT, STARTTLS, checkup_is_well
from lab import Domain, Lacking
from servers import KINDS, S2S, S2S_TLS
from talk import Lost, Person, converse, version

BY_DIALBACK = ("dialback", "fallback")
CIPHER = re.compile(r"TLS1\.[23] [A-Z0-9-]+-(GCM|CCM|POLY1305)")


@dataclass
class Pair:
    """Two domains that meet in one way, of which each cell has its own."""
    first: str  # "we" or "they"
    proof: str
    tls: str
    family: str
    ours: Domain = None
    theirs: Domain = None

    @property
    def label(self):
        return f"{self.first} connect, {self.proof}, {self.tls}, {self.family}"

    @property
    def word(self):
        return f"{self.first}-{self.proof}-{self.tls}-{self.family}"


def cells():
    return [Pair(*each) for each in product(
        ("we", "they"), ("external", "dialback", "both", "fallback"),
        ("starttls", "direct"), ("v4", "v6"))]


def settle(lab, pairs, us, them):
    """Domains for each pair, on the sites of the two servers."""
    for pair in pairs:
        kind = "self-signed" if pair.proof in BY_DIALBACK else "good"
        for who, site in (("ours", us), ("theirs", them)):
            setattr(pair, who, lab.add(Domain(
                f"{pair.word}.{who}.lab", site, pair.tls, pair.family,
                kind)))


def proofs(pairs):
    return {domain.name: pair.proof
            for pair in pairs for domain in (pair.ours, pair.theirs)}


def hold(lab, pair, ours, theirs):
    lab.need(pair.family)
    we = Person(ours, "juliet", pair.ours.name)
    they = Person(theirs, "romeo", pair.theirs.name)
    converse(*((we, they) if pair.first == "we" else (they, we)))
    lacks = lacking(pair, theirs.name, ours.link(pair.theirs.name)["streams"])
    if pair.first == "we":
        checkup_is_well(ours, pair.ours.name, pair.theirs.name,
                        STARTTLS if pair.tls == "starttls" else DIRECT,
                        getattr(pair.theirs.site, pair.family))
    return "without " + ", ".join(lacks) if lacks else None


def versions(pair, ours):
    """Who met, in their own words."""
    we = Person(ours, "juliet", pair.ours.name)
    we.come()
    told = [version(we, domain.name) for domain in (pair.ours, pair.theirs)]
    we.leave()
    return "we are {}, they are {}".format(*told)


def demanded(peer, proof):
    """What `jackdaw s2s` must say of streams with a peer, by what proved them.
    What is not said of one stands in the line of its cell."""
    acks = "acks after dialback" if proof == "dialback" else "acks"
    return {word for word, what in (("bidirectional", "bidirectional"),
                                    ("stream_management", acks))
            if can(peer, what)}


def lacking(pair, peer, streams):
    """They met in that way and use what the peer can; what it cannot."""
    proof = "dialback" if pair.proof in BY_DIALBACK else "certificate"
    port = S2S if pair.tls == "starttls" else S2S_TLS
    outs = [each for each in streams if each["direction"] == "out"]
    if pair.first == "we":
        wanted = f"{getattr(pair.theirs.site, pair.family)}, port {port}"
        is_met = wanted in [each["address"] for each in outs]
    else:
        is_met = len(outs) < len(streams)
    if not is_met or not all(each["proof"] == proof and
                             CIPHER.fullmatch(each["tls"])
                             for each in streams):
        raise Lost(f"they met in another way: {streams}")
    # Only who opens a stream can ask for stream management.
    lacks = {what for what, some in (("bidirectional", streams),
                                     ("stream_management", outs))
             if not all(each[what] for each in some)}
    if lacks & demanded(peer, proof):
        raise Lost(f"{peer} can do more: {streams}")
    return sorted(each.replace("_", " ") for each in lacks)


def attempt(name, task, *words):
    """A line that says how it went, and what the task remarks."""
    try:
        remark = task(*words)
    except Lacking as err:
        return f"skip {name} ({err})"
    except Exception as err:  # whatever it is, it is the case that failed
        return f"not ok {name}: {type(err).__name__}: {err}"
    return f"ok {name} ({remark})" if remark else f"ok {name}"


def report(*what):
    print(attempt(*what), flush=True)


def stop_all(name, *servers):
    """A sanitizer may have the last word."""
    for server in servers:
        if server.process is not None:
            report(f"{name}: {server.name} ends in order", server.stop)


def play(lab, names, peer, wanted):
    """Prints a line for each cell."""
    pairs = [pair for pair in cells() if wanted in pair.label]
    us, them = lab.sites[0], lab.sites[1]
    settle(lab, pairs, us, them)
    names.start()
    both = proofs(pairs)
    ours = KINDS["jackdaw"](lab, names, [pair.ours for pair in pairs], both)
    theirs = KINDS[peer](lab, names, [pair.theirs for pair in pairs], both)
    for server in (ours, theirs):
        server.start()
    with ThreadPoolExecutor(4) as pool:
        lines = pool.map(lambda pair: attempt(
            f"matrix {peer}: {pair.label}", hold, lab, pair, ours, theirs),
            pairs)
        for line in lines:
            print(line, flush=True)
    report(f"matrix {peer}: versions", versions, pairs[0], ours)
    stop_all(f"matrix {peer}", ours, theirs)
    names.stop()
