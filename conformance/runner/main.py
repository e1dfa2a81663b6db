"""The command line of conformance/run."""

import argparse
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import accounts, client, peers, play, report, scene, steps

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Result:
    scene: scene.Scene
    verdict: str  # "ok", "failed" or "skipped"
    why: str
    seconds: float
    logs: list


def address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def arguments():
    parser = argparse.ArgumentParser(
        prog="conformance/run", description=__doc__,
        epilog="Without --accounts or --adduser accounts are made by in-band "
        "registration.")
    add = parser.add_argument
    add("scenes", nargs="*", metavar="SCENE",
        help="files of one's own, or parts of names; all if none is given")
    add("--address", type=address, metavar="HOST:PORT",
        help="where it speaks plain TCP with STARTTLS")
    add("--direct-tls", type=address, metavar="HOST:PORT",
        help="where it speaks TLS at once")
    add("--domain", default="localhost", help="its virtual host")
    add("--domain2", help="a second virtual host")
    add("--anonymous-domain", help="one that allows ANONYMOUS")
    add("--ca", metavar="FILE", help="trust only this certificate authority")
    add("--insecure", action="store_true", help="trust any certificate")
    add("--adduser", metavar="COMMAND", help="makes one account, e.g. "
        "'jackdaw adduser --password-stdin {jid}'; {user}, {host} and "
        "{password} are known too")
    add("--accounts", metavar="FILE", help="fresh accounts, one line "
        "'user@host password' each")
    add("--client-ca", metavar="CERT,KEY", help="a certificate authority "
        "that the server trusts for clients, and its key")
    add("--s2s", type=address, metavar="HOST:PORT",
        help="where it speaks with other servers, with STARTTLS")
    add("--s2s-tls", type=address, metavar="HOST:PORT",
        help="the same with TLS at once")
    add("--peer-dns", type=address, metavar="HOST:PORT",
        help="where to answer the server's DNS queries")
    add("--srv-only", action="store_true", help="targets of SRV records are "
        "addresses, for a server that asks that DNS for nothing else")
    add("--peer-ca", metavar="CERT,KEY", help="a certificate authority that "
        "the server trusts for other servers, and its key")
    add("--component", metavar="HOST:PORT,DOMAIN,SECRET",
        help="where it speaks with that external component")
    add("--restart", metavar="COMMAND",
        help="stops the server cleanly and starts it again")
    add("--can", default="", metavar="NEED,...",
        help="needs of scenes that it meets, of: " + " ".join(scene.NEEDS))
    add("-j", type=int, default=8, metavar="N", help="scenes at a time")
    add("--timeout", type=float, default=60, metavar="S",
        help="how long to wait for what must come")
    add("--settle", type=float, default=0.1, metavar="S",
        help="how long to wait at least for what must not come, after pings; "
        "longer where these take long")
    add("--quiet", type=float, default=0.4, metavar="S",
        help="the same where no ping can be sent")
    add("--tap", action="store_true", help="results as TAP")
    add("--json", action="store_true", help="results as one line of JSON each")
    add("--report", action="store_true",
        help="coverage and results by section of each text")
    add("-v", "--verbose", action="store_true",
        help="what was sent and read in scenes that fail")
    options = parser.parse_args()
    complete(parser, options)
    return options


def complete(parser, options):
    if not (options.address or options.direct_tls):
        if not options.report:
            parser.error("--address or --direct-tls is needed")
    elif not (options.ca or options.insecure):
        parser.error("--ca or --insecure is needed")
    options.hosts = {"host": options.domain, "host2": options.domain2,
                     "anonhost": options.anonymous_domain}
    options.hosts = {key: value for key, value in options.hosts.items()
                     if value}
    if options.client_ca:
        options.client_ca = options.client_ca.split(",")
    options.can = set(filter(None, options.can.split(","))) | {"sasl"}
    if options.peer_ca:
        options.peer_ca = options.peer_ca.split(",")
    if options.component:
        where, *words = options.component.split(",")
        options.component = (address(where), *words)
    if options.s2s and not (options.peer_dns and options.peer_ca):
        parser.error("--s2s needs --peer-dns and --peer-ca")
    for need, there in (("host2", options.domain2),
                        ("s2s", options.s2s), ("s2s-tls", options.s2s_tls),
                        ("component", options.component),
                        ("starttls", options.address),
                        ("direct-tls", options.direct_tls),
                        ("client-cert", options.client_ca),
                        ("anonymous", options.anonymous_domain),
                        ("restart", options.restart)):
        if there:
            options.can.add(need)
    options.patient = "fake-time" in options.can


def chosen(options):
    everything = scene.load_all(ROOT / "scenes")
    if not options.scenes:
        return everything
    own = [scene.load(part) for part in options.scenes
           if part.endswith(".scene") and Path(part).is_file()]
    known = {each.path.resolve() for each in own}
    return own + [each for each in everything
                  if each.path.resolve() not in known
                  and any(part.rstrip("/") in str(each.path)
                          for part in options.scenes)]


@dataclass
class Table:
    """What all scenes of a run share."""

    dialer: client.Dialer
    source: object
    peers: object


def play_one(each, table, options):
    lacking = [need for need in each.needs if need not in options.can]
    if lacking:
        return Result(each, "skipped", "needs " + " ".join(lacking), 0, [])
    start = time.monotonic()
    player = play.Player(each, table, options)
    verdict, why = "ok", ""
    try:
        player.play()
    except (steps.Failed, scene.SceneError, accounts.AccountError,
            client.ClientError, OSError) as err:
        verdict, why = "failed", str(err)
    except Exception:  # a bug of the runner must not end the run
        verdict, why = "failed", traceback.format_exc()
    return Result(each, verdict, why, time.monotonic() - start, player.logs)


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as options.folder:
        return play_all(options, chosen(options))


def in_groups(scenes, threads):
    """A restart would disturb scenes that are played at the same time, and
    there is one component."""
    alone = [each for each in scenes
             if {"restart", "component"} & set(each.needs)]
    yield [each for each in scenes if each not in alone], threads
    yield alone, 1


def play_all(options, scenes):
    results = []
    if options.address or options.direct_tls:
        dialer = client.Dialer(options)
        table = Table(dialer, accounts.source(options, dialer),
                      peers.Peers(options) if options.s2s else None)
        printer = report.printer(options, len(scenes))
        for group, threads in in_groups(scenes, options.j):
            with ThreadPoolExecutor(threads) as pool:
                for result in pool.map(lambda each: play_one(
                        each, table, options), group):
                    results.append(result)
                    printer(len(results), result)
    if options.report:
        report.by_section(ROOT, results)
    if results and not options.json:
        report.total(results, "# " if options.tap else "")
    sys.stdout.flush()
    return 1 if any(each.verdict == "failed" for each in results) else 0
