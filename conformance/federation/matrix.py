"""{peer} x {we connect, they connect} x {EXTERNAL, dialback, both} x
{STARTTLS, direct TLS} x {IPv4, IPv6}: a conversation each, and what
`jackdaw s2s check` says of it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

from checkup import DIRECT, STARTTLS, checkup_is_well
from lab import Domain, Lacking
from servers import KINDS
from talk import Person, converse


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


def hold(lab, pair, ours, theirs):
    lab.need(pair.family)
    we = Person(ours, "juliet", pair.ours.name)
    they = Person(theirs, "romeo", pair.theirs.name)
    converse(*((we, they) if pair.first == "we" else (they, we)))
    if pair.first == "we":
        checkup_is_well(ours, pair.ours.name, pair.theirs.name,
                        STARTTLS if pair.tls == "starttls" else DIRECT,
                        getattr(pair.theirs.site, pair.family))


def attempt(name, task, *words):
    """A line that says how it went."""
    try:
        task(*words)
    except Lacking as err:
        return f"skip {name} ({err})"
    except Exception as err:  # whatever it is, it is the case that failed
        return f"not ok {name}: {type(err).__name__}: {err}"
    return f"ok {name}"


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
    stop_all(f"matrix {peer}", ours, theirs)
    names.stop()
