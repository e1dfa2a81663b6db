"""A server of its own for a test: folder, settings, process, clients."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "etc" / "check"), str(ROOT / "conformance")]
from ports import free_ports  # noqa: E402  (needs the path above)
from runner import client  # noqa: E402
from runner.component import HANDSHAKE, Component  # noqa: E402, F401

PATIENCE_S = 120  # only for what hangs
HOST = "localhost"
PASSWORD = "wherefore art thou"


def until(what, true, patience_s=PATIENCE_S):
    """Waits until true() holds; what is said when it never does."""
    end = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {patience_s} s")
        time.sleep(0.05)


class Site:
    """What `etc/make-site` makes, with a storage and more settings."""

    def __init__(self, folder, program, storage=None, more=""):
        self.folder = Path(folder)
        self.program = program
        self.port, self.tls_port = free_ports()
        self.process = None
        settings = self.folder.parent / (self.folder.name + ".more")
        settings.write_text((more or "hosts:\n  localhost: {}\n") +
                            "s2s: {enabled: false}\n")
        subprocess.run([ROOT / "etc/make-site", self.folder, str(self.port),
                        str(self.tls_port), settings], check=True)
        if storage:
            self.change("storage: {backend: sqlite, path: jackdaw.sqlite}",
                        f"storage: {storage}")

    @property
    def config(self):
        return self.folder / "jackdaw.yaml"

    @property
    def output(self):
        return self.folder / "output"

    def change(self, old, new):
        text = self.config.read_text()
        assert old in text, f"{old} is not in {self.config}"
        self.config.write_text(text.replace(old, new))

    def add(self, text):
        self.config.write_text(self.config.read_text() + text)

    # The process.

    def start(self, before=None):
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [self.program, "-c", self.config, "run"], stdout=output,
                stderr=output, stdin=subprocess.DEVNULL, preexec_fn=before)
        until("the server comes up",
              lambda: self.command("status", may_fail=True).returncode == 0)
        return self

    def refuses(self, words):
        """It must not start, and say so with these words."""
        done = subprocess.run([self.program, "-c", self.config, "run"],
                              capture_output=True, text=True, timeout=PATIENCE_S,
                              check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 1, f"exit {done.returncode}: {said}"
        assert words in said, f"did not say {words!r} but: {said}"

    def end(self, number=signal.SIGTERM):
        """Ends the process; its exit code."""
        if self.process is None:
            return None
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        code = self.process.wait(PATIENCE_S)
        self.process = None
        return code

    def said(self):
        return self.output.read_text(errors="replace")

    # The command line.

    def command(self, *words, password=None, may_fail=False):
        options = ["--password-stdin"] if password is not None else []
        done = subprocess.run(
            [self.program, "-c", self.config, *options, *words],
            input=(password or "") + "\n", capture_output=True, text=True,
            timeout=PATIENCE_S, check=False)
        assert may_fail or done.returncode == 0, \
            f"{words}: {done.stdout}{done.stderr}"
        return done

    def json(self, *words):
        return json.loads(self.command("--json", *words).stdout)

    def adduser(self, *names):
        for name in names:
            self.command("adduser", f"{name}@{HOST}", password=PASSWORD)

    # Clients.

    def dialer(self):
        return client.Dialer(SimpleNamespace(
            address=("127.0.0.1", self.port), direct_tls=None, domain=HOST,
            ca=str(self.folder / "localhost.pem"), timeout=PATIENCE_S))

    def login(self, name, resource="test", password=PASSWORD):
        account = SimpleNamespace(user=name, host=HOST, password=password)
        return self.dialer().login([], account, resource)


def ping(stream, iq_id="p1"):
    answer = stream.ask(iq_id, f"<iq type='get' id='{iq_id}' to='{HOST}'>"
                        "<ping xmlns='urn:xmpp:ping'/></iq>")
    assert answer is not None and answer.get("type") == "result", \
        "a ping is not answered"


def online(stream):
    stream.send("<presence/>")
    stream.fence(HOST)

