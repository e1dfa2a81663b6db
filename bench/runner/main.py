"""The command line, and the order in which everything happens."""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from . import measure, report
from .measure import WORKLOADS
from .servers import SERVERS, Missing

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build-release"
# Of two servers each, by the program pairs.
OF_PAIRS = ("federation", "federation-rate")
# Likewise, by the program streams.
IDLE_PAIRS = "federation-idle"
OTHERS = (*OF_PAIRS, IDLE_PAIRS)


def say(text):
    print(text, file=sys.stderr, flush=True)


def read_arguments():
    parser = argparse.ArgumentParser(prog="bench/compare")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD",
                        help=" ".join((*WORKLOADS, *OTHERS)))
    parser.add_argument("--servers", metavar="LIST",
                        help=f"some of {','.join(SERVERS)}")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    for name in asked.workloads:
        if name not in (*WORKLOADS, *OTHERS):
            parser.error(f"no workload is called {name}: there are "
                         + ", ".join((*WORKLOADS, *OTHERS)))
    for name in (asked.servers or "").split(","):
        if name and name not in SERVERS:
            parser.error(f"no server is called {name}: there are "
                         + ", ".join(SERVERS))
    asked.workloads = asked.workloads or [*WORKLOADS, *OTHERS]
    return asked


def build(names):
    if not (BUILD / "build.ninja").exists():
        subprocess.run(("meson", "setup", BUILD, "--buildtype=release",
                        "-Db_lto=true", "-Dtests=false"), cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)
    targets = ["bench/load", "bench/floor"]
    if any(name.startswith("jackdaw") for name in names):
        targets.append("jackdaw")
    subprocess.run(("ninja", "-C", BUILD, "--quiet", *targets), check=True,
                   stdout=sys.stderr)


def choose_servers(asked, where):
    """Those that were asked for, else those that can be run."""
    chosen = []
    for name in asked.servers.split(",") if asked.servers else SERVERS:
        server = SERVERS[name](where, BUILD)
        if not set(server.workloads) & set(asked.workloads):
            continue
        try:
            server.check()
            chosen.append(server)
        except Missing as why:
            if asked.servers:
                raise SystemExit(f"{name} cannot be run: {why}") from None
            say(f"without {name}: {why}")
    return chosen


class Bench:
    """Servers that run, and the cores they and the load have."""

    def __init__(self, sessions):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise SystemExit("two cores are needed: server and load")
        self.server_core, self.load_core = (str(core) for core in cores[:2])
        self.sessions = sessions

    def start(self, server):
        cores = self.server_core
        if server.both_cores:
            cores += "," + self.load_core
        server.start(cores)

    def prepare(self, server, workloads):
        say(f"{server.name}: starting, making accounts")
        server.prepare()
        self.start(server)
        if server.has_accounts:
            most = max(measure.count_sessions(name, self.sessions)
                       for name in workloads if name in server.workloads)
            measure.prepare(server, self.load_core, most)

    def run(self, server, workload):
        if WORKLOADS[workload].afresh:
            server.stop()
            self.start(server)
        return measure.run(server, self.load_core, workload, self.sessions)


def run_all(bench, servers, asked):
    """Run after run, each over all servers, so that what the machine does
    meanwhile falls on all alike."""
    results = {}
    for workload in asked.workloads:
        for number in range(asked.runs):
            say(f"{workload}: run {number + 1} of {asked.runs}")
            for server in servers:
                if workload in server.workloads:
                    results.setdefault((workload, server.name), []).append(
                        bench.run(server, workload))
    return results


def run_pairs(bench, program, *words):
    done = subprocess.run(
        (ROOT / "bench" / program, BUILD, bench.server_core, bench.load_core,
         *map(str, words)), stdout=subprocess.PIPE, check=True)
    return {(workload, pair): runs
            for workload, pair, runs in json.loads(done.stdout)}


def run_servers(bench, asked):
    with contextlib.ExitStack() as stack:
        where = Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix="bench-")))
        where.chmod(0o711)
        servers = choose_servers(asked, where)
        for server in servers:
            stack.callback(server.close)
            bench.prepare(server, asked.workloads)
        return run_all(bench, servers, asked)


def main():
    asked = read_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    build(asked.servers.split(",") if asked.servers else SERVERS)
    bench = Bench(asked.sessions)
    results = {}
    wanted = [name for name in asked.workloads if name in OF_PAIRS]
    idle = IDLE_PAIRS in asked.workloads
    asked.workloads = [name for name in asked.workloads if name in WORKLOADS]
    if asked.workloads:
        results |= run_servers(bench, asked)
    if wanted:
        results |= run_pairs(bench, "pairs", bench.sessions, asked.runs,
                             *wanted)
    if idle:
        results |= run_pairs(bench, "streams", asked.runs)
    found = report.collect(results)
    if asked.json:
        report.print_json(found)
    else:
        report.print_table(found)
    return 0
