"""One run of the load generator, and which workloads there are."""

import json
import subprocess
from dataclasses import dataclass

from .servers import DOMAIN, PASSWORD

PATIENCE_S = 1200
SOME_SESSIONS = 500


@dataclass(frozen=True)
class Workload:
    options: tuple
    sessions: int = 0     # 0: as many as asked for
    times: int = 1        # so many times as many
    afresh: bool = False  # the server is started again for each run


WORKLOADS = {
    "idle": Workload(("--workload", "idle", "--run-ms", "1500"),
                     afresh=True),
    "hibernated": Workload(("--workload", "hibernated", "--run-ms", "3000"),
                           times=10, afresh=True),
    "login": Workload(("--workload", "login"), SOME_SESSIONS),
    "plain": Workload(("--workload", "login", "--plain"), SOME_SESSIONS),
    "chat": Workload(("--workload", "chat")),
    "rate": Workload(("--workload", "rate", "--run-ms", "5000")),
    "ack": Workload(("--workload", "rate", "--run-ms", "5000", "--managed")),
    "ack-fleeting": Workload(("--workload", "rate", "--run-ms", "5000",
                              "--managed", "--fleeting")),
    "presence": Workload(("--workload", "presence")),
    "offline": Workload(("--workload", "offline")),
    "catch-up": Workload(("--workload", "catch-up", "--each", "200"), 100),
}


def load(server, core, words):
    """Runs the load generator; its figures, or None when it failed."""
    database = server.database.pid if server.database else 0
    done = subprocess.run(
        ("taskset", "-c", core, server.build / "bench" / "load", "--direct",
         "--domain", DOMAIN, "--password", PASSWORD,
         "--port", str(server.port), "--server", str(server.process.pid),
         "--database", str(database), *words),
        capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{server.name}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout) if done.stdout.startswith("{") else {}


def prepare(server, core, sessions):
    words = ["--workload", "prepare", "--sessions", str(sessions)]
    if not server.make_accounts(sessions):
        words.append("--registers")
    load(server, core, words)


def count_sessions(name, sessions):
    workload = WORKLOADS[name]
    return workload.sessions or sessions * workload.times


def run(server, core, name, sessions):
    workload = WORKLOADS[name]
    count = count_sessions(name, sessions)
    return load(server, core, (*workload.options, "--sessions", str(count)))
