"""{peer} x {we connect, they connect} x {EXTERNAL, dialback, both} x
{STARTTLS, direct TLS} x {IPv4, IPv6}: a conversation each."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

from lab import Domain
from servers import KINDS
from talk import Lost, Person, converse

# What a peer cannot do: (peer, first, proof, tls, family) with None for any.
CANNOT = {}


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
        ("we", "they"), ("external", "dialback", "both"),
        ("starttls", "direct"), ("v4", "v6"))]


def settle(lab, pairs, us, them):
    """Domains for each pair, on the sites of the two servers."""
    for pair in pairs:
        kind = "self-signed" if pair.proof == "dialback" else "good"
        for who, site in (("ours", us), ("theirs", them)):
            setattr(pair, who, lab.add(Domain(
                f"{pair.word}.{who}.lab", site, pair.tls, pair.family,
                kind)))


def proofs(pairs):
    return {domain.name: pair.proof
            for pair in pairs for domain in (pair.ours, pair.theirs)}


def hold(pair, ours, theirs):
    we = Person(ours, "juliet", pair.ours.name)
    they = Person(theirs, "romeo", pair.theirs.name)
    converse(*((we, they) if pair.first == "we" else (they, we)))


def attempt(name, task, *words):
    try:
        task(*words)
    except (Lost, OSError, Exception) as err:  # what it says is the result
        return f"not ok {name}: {type(err).__name__}: {err}"
    return f"ok {name}"


def play(lab, names, peer, wanted, mine="jackdaw"):
    """Prints a line for each cell."""
    pairs = [pair for pair in cells() if wanted in pair.label]
    us, them = lab.sites[0], lab.sites[1]
    settle(lab, pairs, us, them)
    names.start()
    both = proofs(pairs)
    ours = KINDS[mine](lab, names, [pair.ours for pair in pairs], both)
    theirs = KINDS[peer](lab, names, [pair.theirs for pair in pairs], both)
    for server in (ours, theirs):
        server.start()
    with ThreadPoolExecutor(4) as pool:
        lines = pool.map(lambda pair: attempt(
            f"matrix {peer}: {pair.label}", hold, pair, ours, theirs), pairs)
        for line in lines:
            print(line, flush=True)
    for server in (ours, theirs):
        server.stop()
    names.stop()
    return ours, theirs
