"""Servers of the lab: Jackdaw, and other people's."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from lab import DNS_ADDRESS, PATIENCE_S, LabError, wait_for_port

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runner import accounts, client  # noqa: E402

C2S, C2S_TLS, S2S, S2S_TLS = 5222, 5223, 5269, 5270
QUIET_S = 5
SQLITE = "{backend: sqlite, path: jackdaw.sqlite}"


class Server:
    """One process that serves domains of one site. The options say how it
    treats others: proofs, a dict from domain to 'external', 'dialback',
    'both' (the default of ours) or 'fallback' (dialback although a certificate
    was presented). Without has_tls it neither offers nor asks for STARTTLS to other
    servers."""

    name = "?"
    needs = ()  # of a lab
    good_ends = (0, 143, -15)  # others end by the signal itself

    def __init__(self, lab, names, domains, proofs=None, **options):
        lab.need(*self.needs)
        self.lab, self.names = lab, names
        self.domains, self.site = domains, domains[0].site
        self.proofs = proofs or {}
        self.options = options
        self.has_tls = options.get("has_tls", True)
        self.folder = lab.folder / f"{self.name}-{self.site.number}"
        self.folder.mkdir()
        self.process = None

    def proof_of(self, domain):
        return self.proofs.get(domain.name, "both")

    def start(self):
        with open(self.folder / "out", "ab") as out:
            self.process = self.lab.spawn(
                self.command(), stdout=out, stderr=out, cwd=self.folder,
                env=os.environ | self.environment())
        for port in (C2S, S2S, S2S_TLS):
            wait_for_port(self.site.v4, port, self.process)

    def stop(self):
        """In order."""
        self.must_live()
        status = self.lab.end(self.process)
        self.process = None
        if status not in self.good_ends:
            raise LabError(f"{self.name} ended with {status}: {self.last()}")

    def kill(self):
        self.must_live()
        self.process.send_signal(signal.SIGKILL)
        self.lab.end(self.process)
        self.process = None

    def must_live(self):
        if self.process.poll() is not None:
            raise LabError(f"{self.name} ended by itself: {self.last()}")

    def last(self):
        """What it said, or a sanitizer for it."""
        lines = self.output().splitlines()
        wrong = [at for at, line in enumerate(lines)
                 if "ERROR: " in line or "runtime error" in line]
        return "\n".join(lines[wrong[0]:][:60] if wrong else lines[-20:])

    def environment(self):
        return self.options.get("environment", {})

    def dialer(self, host):
        return client.Dialer(SimpleNamespace(
            address=(self.site.v4, C2S), direct_tls=None, domain=host,
            ca=None, timeout=PATIENCE_S))

    def add(self, account):
        accounts.InBand(self.dialer(account.host)).register(account)

    def account(self, name, host):
        """A new one on that domain."""
        made = accounts.fresh(name, host)
        self.add(made)
        return made

    def login(self, account, resource="lab"):
        return self.dialer(account.host).login([], account, resource)

    def output(self):
        texts = [path.read_text(errors="replace")
                 for path in sorted(self.folder.glob("*log*")) +
                 [self.folder / "out"] if path.is_file()]
        return "\n".join(texts)


    def has_line(self, *words):
        """Whether it said all that at once."""
        return any(all(word in line for word in words)
                   for line in self.output().splitlines())

    def has_written(self, text):
        """Whether something in its folder holds that, and nothing has changed
        there for a while: mnesia moves what it has written from file to file,
        and on the way it may be on no disk."""
        files = [path for path in (self.folder / "data").rglob("*")
                 if path.is_file()]
        try:
            return time.time() > QUIET_S + max(
                path.stat().st_mtime for path in files) and \
                any(text.encode() in path.read_bytes() for path in files)
        except FileNotFoundError:  # moved just now
            return False


class Jackdaw(Server):
    name = "jackdaw"
    good_ends = (0,)
    program = None  # set by run
    policies = {
        "external": "{dialback: never, proofs: [pkix, dane, posh]}",
        "dialback": "{dialback: always, proofs: [dialback]}",
        "both": None,
        "fallback": "{dialback: always}",
    }

    def host_text(self, domain):
        certificate, key = self.lab.authority.files(domain.name)
        policy = self.policies[self.proof_of(domain)]
        return (f"  {domain.name}:\n    certificate: {certificate}\n"
                f"    key: {key}\n" +
                (f"    s2s: {policy}\n" if policy else ""))

    def config_text(self):
        both = json.dumps(self.site.addresses)
        level = self.options.get("log", os.environ.get("LAB_LOG", "debug"))
        return (
            f"listen:\n  c2s: {{addresses: {both}, port: {C2S}}}\n"
            f"  tls: {{addresses: {both}, port: {C2S_TLS}}}\n"
            f"  s2s: {{addresses: {both}, port: {S2S}}}\n"
            f"  s2s_tls: {{addresses: {both}, port: {S2S_TLS}}}\n"
            f"{self.options.get('listen', '')}"
            f"state_directory: .\nshards: {self.options.get('shards', 2)}\n"
            "auth: {iterations: 4096}\n"
            f"storage: {self.options.get('storage', SQLITE)}\n"
            "admin: {socket: jackdaw.sock}\n"
            f"log: {{level: {level}}}\n"
            f"dns: {{resolvers: [{DNS_ADDRESS}], "
            f"trust_anchor: {self.names.anchor}}}\n"
            f"{self.s2s_text()}{self.options.get('more', '')}hosts:\n" +
            "".join(map(self.host_text, self.domains)))

    def s2s_text(self):
        settings = {"authorities": self.lab.authority.root,
                    **self.options.get("s2s", {})}
        return "s2s:\n" + "".join(f"  {name}: {value}\n"
                                  for name, value in settings.items())

    @property
    def config(self):
        return self.folder / "jackdaw.yaml"

    def command(self):
        self.config.write_text(self.config_text())
        return [self.program, "-c", self.config, "run"]

    def start(self):
        super().start()  # its ports are open early
        until("it is up", self.is_up)

    def is_up(self):
        self.must_live()
        return self.ask("status").returncode == 0

    def ask(self, *words, **how):
        done = subprocess.run([self.program, "-c", self.config, *words],
                              check=False, capture_output=True, text=True,
                              **how)
        return done

    def add(self, account):
        done = self.ask("adduser", "--password-stdin", account.jid,
                        input=account.password + "\n")
        if done.returncode != 0:
            raise LabError(done.stderr)

    def link(self, domain):
        """What `jackdaw s2s` tells of it, or nothing: a dict."""
        done = self.ask("s2s", "--json")
        if done.returncode != 0:
            raise LabError(done.stderr)
        for each in json.loads(done.stdout)["pairs"]:
            if each["remote"] == domain:
                return each
        return {"state": "idle", "queued": 0, "kept": 0}

    def has_written(self, text):
        """It shows only what is on its disk."""
        return True

    def has_sent(self, domain):
        """All, and it was acknowledged."""
        return self.link(domain)["queued"] == 0


PROSODY = """
run_as_root = true
pidfile = "{folder}/pid"
data_path = "{folder}/data"
certificates = "{certificates}"
log = {{ {level} = "{folder}/log" }}
interfaces = {{ {addresses} }}
c2s_ports = {{ 5222 }}
c2s_direct_tls_ports = {{ 5223 }}
s2s_ports = {{ 5269 }}
s2s_direct_tls_ports = {{ 5270 }}
component_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
use_ipv6 = {use_ipv6}
unbound = {{ resolvconf = false; hoststxt = false;
    forward = {{ "{dns}" }}; trustfile = "{anchor}" }}
ssl = {{ cafile = "{ca}" }}
s2s_require_encryption = {required}
c2s_require_encryption = true
allow_registration = true
registration_throttle_period = false
limits = {{ }}
authentication = "internal_hashed"
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "vcard_legacy",
    "pep", "version", "ping", "register", "offline", "smacks", "s2s_bidi",
    "posix" }}
"""

PROSODY_HOST = """
VirtualHost "{name}"
    ssl = {{ {shown} cafile = "{ca}" }}
    c2s_ssl = {{ {pair} }}
    s2s_direct_tls_ssl = {{ {pair} }}
    s2s_secure_auth = {secure}
    modules_enabled = {{ {modules} }}
    modules_disabled = {{ {disabled} }}
"""


class Prosody(Server):
    """With is_shy it presents no certificate when it connects, nor where it
    offers STARTTLS to servers."""

    name = "prosody"

    def host_text(self, domain):
        certificate, key = self.lab.authority.files(domain.name)
        proof = self.proof_of(domain)
        pair = f'certificate = "{certificate}"; key = "{key}";'
        return PROSODY_HOST.format(
            name=domain.name, pair=pair,
            shown="" if self.options.get("is_shy") else pair,
            ca=self.lab.authority.root,
            secure="true" if proof == "external" else "false",
            modules="" if proof == "external" else '"dialback"',
            disabled="" if self.has_tls else '"tls"')

    def dialer(self, host):
        """What is off is STARTTLS, for clients too."""
        made = super().dialer(host)
        if not self.has_tls:
            made.options.address = None
            made.options.direct_tls = self.site.v4, C2S_TLS
        return made

    def command(self):
        config = self.folder / "prosody.cfg.lua"
        (self.folder / "data").mkdir(exist_ok=True)
        config.write_text(PROSODY.format(
            folder=self.folder,
            addresses=json.dumps(self.site.addresses)[1:-1],
            use_ipv6="true" if self.site.has_v6 else "false",
            dns=DNS_ADDRESS, anchor=self.names.anchor,
            certificates=self.folder / "data"
            if self.options.get("is_shy") else self.lab.authority.folder,
            level=self.options.get("log", "debug"),
            required="true" if self.has_tls else "false",
            ca=self.lab.authority.root) +
            self.options.get("more", "") +
            "".join(map(self.host_text, self.domains)))
        return ["prosody", "-F", "--config", config]


EJABBERD = """
hosts: [{hosts}]
loglevel: {level}
certfiles: ["{folder}/certificates/*.pem"]
ca_file: "{ca}"
s2s_cafile: "{ca}"
registration_timeout: infinity
shaper_rules: {{}}
auth_password_format: scram
s2s_use_starttls: {starttls}
s2s_dns_timeout: 5
s2s_max_retry_delay: 2
outgoing_s2s_families: [ipv6, ipv4]
listen:
  - {{port: 5222, ip: "{v4}", module: ejabberd_c2s, starttls: true,
     starttls_required: true}}
{listen}
access_rules:
  register: {{allow: all}}
  s2s: {{allow: all}}
append_host_config:
{dialback}
modules:
  mod_caps: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_register: {{ip_access: all, access: register, password_strength: 0}}
  mod_roster: {{versioning: true}}
  mod_vcard: {{}}
  mod_version: {{}}
{more}
"""


class Ejabberd(Server):
    name = "ejabberd"
    needs = ("resolver",)  # it asks the system's

    def start(self):
        # That of Debian 13 loses what comes before it listens for it, where
        # it speaks TLS from the start (p1_xmpp 1.9.4, finish_tls_handshake).
        self.lab.answer_late(S2S_TLS)
        super().start()

    def listen_text(self):
        return "\n".join(
            f'  - {{port: {port}, ip: "{address}", '
            f"module: ejabberd_s2s_in{more}}}"
            for port, more in ((S2S, ""), (S2S_TLS, ", tls: true"))
            for address in self.site.addresses)

    def command(self):
        certificates = self.folder / "certificates"
        certificates.mkdir(exist_ok=True)
        (self.folder / "data").mkdir(exist_ok=True)
        for domain in self.domains:
            both = [path.read_text() for path in
                    self.lab.authority.files(domain.name)]
            (certificates / f"{domain.name}.pem").write_text("".join(both))
        config = self.folder / "ejabberd.yml"
        dialback = "".join(
            f"  {domain.name}:\n    modules:\n      mod_s2s_dialback: {{}}\n"
            for domain in self.domains if self.proof_of(domain) != "external")
        config.write_text(EJABBERD.format(
            folder=self.folder, v4=self.site.v4, listen=self.listen_text(),
            ca=self.lab.authority.root, dialback=dialback or "  {}",
            hosts=", ".join(domain.name for domain in self.domains),
            starttls="required" if self.has_tls else "false",
            level=self.options.get("log", "debug"),
            more=self.options.get("more", "")))
        return ["erl", "-noinput", "-boot", "start_sasl", "-sasl",
                "sasl_error_logger", "false", "-mnesia", "dir",
                f'"{self.folder}/data"', "-s", "ejabberd"]

    def environment(self):
        libraries = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin"))
        return {"ERL_LIBS": str(libraries[-1].parent.parent),
                "EJABBERD_CONFIG_PATH": str(self.folder / "ejabberd.yml"),
                "EJABBERD_LOG_PATH": str(self.folder / "log"),
                "HOME": str(self.folder)}


KINDS = {kind.name: kind for kind in (Jackdaw, Prosody, Ejabberd)}


def fresh_id():
    return secrets.token_hex(6)


def until(what, holds, rest=time.sleep):
    """Waits, but not for ever."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise LabError(f"in vain was waited until {what}")
        rest(0.05)
