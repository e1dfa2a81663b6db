"""One of the two servers: its hosts, its configuration, its process."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "etc" / "check"), str(ROOT / "conformance/crash")]
from names import Names  # noqa: E402  (needs the path above)
from ports import free_ports  # noqa: E402
from servers import ignore_full_files, limit_files  # noqa: E402

PATIENCE_S = 120  # only for what hangs
HOSTS, USERS = 3, 3
SECRET = "sesame"
LISTENERS = ("c2s", "tls", "s2s", "s2s_tls", "components")
MODULES = ("archive", "blocking", "caps", "carbons", "client_state", "disco",
           "hints", "last", "offline", "ping", "private_xml", "push",
           "register", "stanza_id", "vcard")
POLICIES = ("", "", "", ", dialback: never", ", dialback: always",
            ", tls_required: false", ", proofs: [dialback]",
            ", proofs: [pkix]")


def openssl(*words):
    subprocess.run(["openssl", *words], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def certify(folder, name, authority=None):
    """A key and a certificate; without an authority it is one."""
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", folder / f"{name}.key", "-subj", f"/CN={name}")
    if authority is None:
        openssl("req", "-x509", *made, "-out", folder / f"{name}.pem")
        return
    openssl("req", *made, "-addext", f"subjectAltName=DNS:{name},DNS:*.{name}",
            "-out", folder / f"{name}.csr")
    openssl("x509", "-req", "-in", folder / f"{name}.csr", "-copy_extensions",
            "copyall", "-CA", folder / f"{authority}.pem", "-CAkey",
            folder / f"{authority}.key", "-out", folder / f"{name}.pem")


class Site:
    def __init__(self, program, folder, name, dice):
        self.program, self.name, self.dice = program, name, dice
        self.certificates, self.folder = folder, folder / name
        self.hosts = [f"{i}.{name}.test" for i in range(HOSTS)]
        self.component = f"component.{self.hosts[0]}"
        self.ports = dict(zip(LISTENERS, free_ports(len(LISTENERS))))
        self.config = self.folder / "jackdaw.yaml"
        self.folder.mkdir()
        self.output = open(self.folder / "output", "ab")
        for host in self.hosts:
            certify(folder, host, "ca")
        self.process = self.other = None
        self.postgres = None  # or a database of its own
        self.names = Names(dice, self)
        self.is_ready, self.may_end_with = False, ()

    def users(self):
        return [f"u{i}@{host}" for host in self.hosts for i in range(USERS)]

    # --- its configuration ------------------------------------------------

    def write(self, hosts, host_more, domain_more, rest):
        known = [f"  {host}: {{certificate: {self.certificates}/{host}.pem, "
                 f"key: {self.certificates}/{host}.key{host_more(host)}}}"
                 for host in hosts]
        domains = [f"  {self.component}: {{component: {{secret: {SECRET}}}}}",
                   *(f"  {host}: {{s2s: {{{self.way()}{domain_more()}}}}}"
                     for host in self.other.hosts)]
        listen = [f"  {name}: {{addresses: [127.0.0.1], port: {port}}}"
                  for name, port in self.ports.items()]
        self.config.write_text("\n".join((
            "hosts:", *known, "domains:", *domains, "listen:", *listen,
            self.storage(),
            f"admin: {{socket: {self.folder}/socket}}",
            f"state_directory: {self.folder}", "shards: 3",
            "registration: {open: true, per_hour: 1000000}",
            "auth: {iterations: 4096, free_failures: 1000}",
            f"s2s.authorities: {self.certificates}/ca.pem",
            f"dns: {{timeout: 1 s, resolvers: [127.0.0.1@{self.names.port}]}}",
            *rest)) + "\n")

    def way(self):
        """To one of the other's hosts; none: it has to be asked for."""
        scheme, listener = self.dice.choice(
            (("xmpp", "s2s"), ("xmpps", "s2s_tls"), (None, None)))
        where = "" if scheme is None else \
            f"'{scheme}://127.0.0.1:{self.other.ports[listener]}'"
        return f"route: [{where}]"

    def storage(self):
        if self.postgres is None:
            return f"storage: {{path: {self.folder}/db}}"
        return ("storage: {backend: postgres, conninfo: "
                f"'{self.postgres.conninfo}'}}")

    def write_calm(self):
        self.write(self.hosts, lambda _host: "", lambda: "", ())

    def write_wild(self):
        one_of = self.dice.choice
        hosts = [host for host in self.hosts if self.dice.random() < 0.8]
        rest = [f"modules.{name}: {one_of(('on', 'off'))}"
                for name in self.dice.sample(MODULES, 4)]
        rest += [
            f"s2s.presence_lost: {one_of((2, 300))} s",
            f"s2s.hold_messages: {one_of((1, 900))} s",
            f"s2s.keep_after: {one_of((1, 200))} ms",
            f"s2s.queue: {one_of((10, 10000))}",
            f"s2s.idle: {one_of((1, 600))} s",
            f"s2s.deny: [{one_of(('', '', self.other.hosts[0]))}]",
            f"sessions.conflict: {one_of(('replace', 'rename', 'refuse'))}",
            f"sessions.resume: {one_of((1, 5, 600))} s",
            f"sessions.queue: {one_of((10, 1000))}",
            f"sessions.per_account: {one_of((3, 50))}",
            f"limits.handshakes: {one_of((1, 2, 100))}",
            f"limits.idle_ping: {one_of((1, 300))} s",
            f"limits.idle_timeout: {one_of((1, 60))} s"]
        self.write(
            hosts or self.hosts,
            lambda _host: one_of(("", ", modules: {archive: off}",
                            ", modules: {offline: off}")),
            lambda: one_of(POLICIES), rest)

    # --- its process ------------------------------------------------------

    async def start(self):
        self.may_end_with = ()
        self.process = await asyncio.create_subprocess_exec(
            self.program, "-c", self.config, "run", stdout=self.output,
            stderr=self.output, stdin=subprocess.DEVNULL,
            preexec_fn=ignore_full_files)
        async with asyncio.timeout(PATIENCE_S):
            while self.process.returncode is None and \
                    await self.admin("status") != 0:
                await asyncio.sleep(0.1)
        self.is_ready = True

    async def admin(self, *words, says=b""):
        """The exit code of a command."""
        process = await asyncio.create_subprocess_exec(
            self.program, "-c", self.config, *words,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        await process.communicate(says)
        return process.returncode

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    async def lose_disk(self, seconds):
        """None of its files may grow, or the largest by a little."""
        pid = self.process.pid
        sizes = [file.stat().st_size for file in self.folder.iterdir()
                 if file.is_file()]
        limit_files(pid, max(sizes) + self.dice.choice((0, 1 << 16)))
        await asyncio.sleep(seconds)
        limit_files(pid)

    def stop(self):
        self.is_ready, self.may_end_with = False, (0,)
        self.process.terminate()

    def kill(self):
        self.is_ready, self.may_end_with = False, (-signal.SIGKILL,)
        self.process.kill()

    async def has_ended(self):
        try:
            await asyncio.wait_for(self.process.wait(), PATIENCE_S)
        except TimeoutError:
            os.kill(self.process.pid, signal.SIGABRT)  # with its stack
            await self.process.wait()
            return False
        return True

    def clear(self):
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
        if self.postgres is not None:
            self.postgres.stop()
        self.names.close()
        self.output.close()
