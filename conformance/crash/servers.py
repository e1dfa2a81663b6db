"""The server that is killed, and what it keeps its data in."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "etc" / "check"))
from ports import free_ports  # noqa: E402  (needs the path above)

UNARCHIVED = "second.localhost"
PATIENCE_S = 180  # only for what hangs
SETTINGS = f"""\
hosts:
  localhost: {{}}
  {UNARCHIVED}: {{archive: {{default: never}}}}
shards: 2
auth: {{iterations: 4096, free_failures: 1000, longest_delay: 0 s}}
limits: {{connections: 0}}
quota: {{offline_messages: 1000000}}
s2s: {{enabled: false}}
"""


def ignore_full_files():
    """Before a server starts: what it writes then fails, it does not end."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def limit_files(pid, most=None):
    """A file that may grow no more is a disk that is full."""
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE,
                     (hard if most is None else most, hard))


class ServerError(Exception):
    """A server does not come up."""


def wait_for(what, is_there):
    deadline = time.monotonic() + PATIENCE_S
    while not is_there():
        if time.monotonic() > deadline:
            raise ServerError(f"{what} does not come up")
        time.sleep(0.02)


class Postgres:
    def __init__(self, folder, *how):
        self.folder = folder
        folder.parent.chmod(0o711)
        self.conninfo = self.control("start", *how).strip()

    def control(self, what, *more):
        done = subprocess.run(
            [ROOT / "etc/check/postgres", what, self.folder, *more],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False)
        if done.returncode != 0:
            raise ServerError(f"postgres: {done.stderr}")
        return done.stdout

    def signal(self, number):
        pid = (self.folder / "data/postmaster.pid").read_text().split()[0]
        os.kill(int(pid), number)

    def kill(self):
        """The postmaster; its children see that and go. Then a new one."""
        self.signal(signal.SIGKILL)

    def is_there(self):
        try:
            self.signal(0)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return True

    def again(self):
        try:
            self.control("start")
        except ServerError:  # children of the old one are still there
            return False
        return True

    def stop(self):
        self.control("stop", "immediate")


class Server:
    """A Jackdaw in a folder of its own."""

    def __init__(self, program, folder, conninfo=None):
        self.program, self.folder = program, folder
        self.config = folder / "jackdaw.yaml"
        self.port, self.tls_port = free_ports()
        self.process = None
        folder.mkdir()
        more = folder / "more.yaml"
        more.write_text(SETTINGS)
        subprocess.run([ROOT / "etc/make-site", folder, str(self.port),
                        str(self.tls_port), more], check=True)
        if conninfo:
            self.use_postgres(conninfo)
        self.certificate = folder / "localhost.pem"
        self.output = open(folder / "output", "ab")

    def use_postgres(self, conninfo):
        lines = self.config.read_text().splitlines()
        self.config.write_text("".join(
            f'storage: {{backend: postgres, conninfo: "{conninfo}"}}\n'
            if line.startswith("storage:") else line + "\n"
            for line in lines))

    def run(self, *words, **how):
        return subprocess.run([self.program, "-c", self.config, *words],
                              capture_output=True, check=False, **how)

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "-c", self.config, "run"], stdout=self.output,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            preexec_fn=ignore_full_files)

    def is_ready(self):
        """It listens a little before it has all that it needs."""
        if self.process.poll() is not None:
            raise ServerError(f"it ended with {self.process.returncode}")
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", self.tls_port)) == 0 and \
                self.run("status").returncode == 0

    def await_ready(self):
        wait_for("jackdaw", self.is_ready)

    def kill(self):
        """False if it had ended by itself, as it must not."""
        was_there = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        return was_there

    def stop(self):
        self.process.terminate()
        return self.process.wait(PATIENCE_S) == 0

    def fill(self):
        """No file of its may grow by much; its log, too, is one."""
        most = max(self.output.tell(), (self.folder / "output").stat().st_size)
        limit_files(self.process.pid, most + 65536)

    def free(self):
        limit_files(self.process.pid)

    def adduser(self, account):
        done = self.run("adduser", "--password-stdin", account.jid,
                        input=account.password.encode() + b"\n")
        if done.returncode != 0:
            raise ServerError(f"adduser: {done.stderr.decode()}")

    def close(self, keep=None):
        if self.process and self.process.poll() is None:
            self.kill()
        self.output.close()
        if keep:
            shutil.copytree(self.folder, keep, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("*.sock"))
