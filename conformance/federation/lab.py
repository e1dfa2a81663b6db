"""A small internet of its own: a network namespace with addresses, names with
signed zones, and a certificate authority."""

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

DNS_ADDRESS = "127.0.9.53"
INSIDE = "FEDERATION_LAB"
SERVER_PORTS = "{5269, 5270}"
# What holds sooner or later on a machine that has a lot to do.
PATIENCE_S = 120


class LabError(Exception):
    """The laboratory itself does not stand."""


class Lacking(Exception):
    """What the machine does not allow, and a case needs."""


def enter(program, words):
    """Runs the program again in namespaces of its own. Returns where that is
    not allowed: then its servers listen on the machine's own loopback."""
    for how in ([], ["--user", "--map-root-user"]):
        unshare = ["unshare", "--net", "--mount", *how]
        if is_possible(*unshare, "sh", "-c", "ip link set lo up && "
                       "mount --bind /etc/hosts /etc/hosts"):
            os.environ[INSIDE] = "1"
            os.execvp(unshare[0],
                      [*unshare, "/usr/bin/python3", program, *words])


def is_possible(*words):
    return subprocess.run(words, check=False, stdin=subprocess.DEVNULL,
                          capture_output=True).returncode == 0


def run(*words, **how):
    done = subprocess.run([str(word) for word in words], check=False,
                          capture_output=True, text=True, **how)
    if done.returncode != 0:
        raise LabError(f"{words[0]}: {done.stderr or done.stdout}")
    return done.stdout


@dataclass
class Site:
    """One machine of the lab: where a server listens."""
    number: int
    has_v6: bool

    @property
    def v4(self):
        return f"127.0.{self.number}.1"

    @property
    def v6(self):
        return f"fd00:{self.number}::1"

    @property
    def addresses(self):
        return [self.v6, self.v4] if self.has_v6 else [self.v4]


@dataclass
class Domain:
    """A domain, the machine it is on, and how others may reach it."""
    name: str
    site: Site
    tls: str = "starttls"  # or "direct"
    family: str = "v4"  # or "v6"
    certificate: str = "good"  # a kind that Authority.issue knows
    target: str = field(init=False)

    def __post_init__(self):
        self.target = f"host.{self.name}"

    @property
    def records(self):
        service, port = {"starttls": ("_xmpp-server", 5269),
                         "direct": ("_xmpps-server", 5270)}[self.tls]
        kind, address = {"v4": ("A", self.site.v4),
                         "v6": ("AAAA", self.site.v6)}[self.family]
        return [f"{service}._tcp.{self.name}. SRV 1 1 {port} {self.target}.",
                f"{self.target}. {kind} {address}"]


class Authority:
    """Certificates, good and otherwise, one file pair for each domain."""

    def __init__(self, folder):
        self.folder = folder / "certificates"
        self.folder.mkdir()
        self.make_root("ca")
        self.make_root("stranger")

    def make_root(self, name):
        template = self.folder / f"{name}.template"
        template.write_text(f"cn = {name}\nca\ncert_signing_key\n"
                            "expiration_days = 30\n")
        self.key(name)
        run("certtool", "--generate-self-signed", "--template", template,
            "--load-privkey", self.folder / f"{name}.key",
            "--outfile", self.folder / f"{name}.pem")

    def key(self, name):
        run("certtool", "--generate-privkey", "--key-type=ecdsa",
            "--curve=secp256r1", "--outfile", self.folder / f"{name}.key")

    @property
    def root(self):
        return self.folder / "ca.pem"

    def files(self, name):
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"

    def issue(self, name, kind="good", prefix=""):
        """A certificate for that name and its key: files(prefix + name)."""
        words = [f"cn = {name}", "signing_key", "tls_www_server",
                 *(() if kind == "server-only" else ("tls_www_client",)),
                 "dns_name = " + ("elsewhere.lab" if kind == "wrong-name"
                                  else name)]
        if kind == "expired":
            words += ['activation_date = "2020-01-01 00:00:00"',
                      'expiration_date = "2021-01-01 00:00:00"']
        else:
            words += ["expiration_days = 30"]
        template = self.folder / f"{prefix}{name}.template"
        template.write_text("\n".join(words) + "\n")
        certificate, key = self.files(prefix + name)
        self.key(prefix + name)
        if kind == "self-signed":
            how = ["--generate-self-signed"]
        else:
            root = "stranger" if kind == "unknown-ca" else "ca"
            how = ["--generate-certificate",
                   "--load-ca-certificate", self.folder / f"{root}.pem",
                   "--load-ca-privkey", self.folder / f"{root}.key"]
        run("certtool", *how, "--template", template, "--load-privkey", key,
            "--outfile", certificate)


class Lab:
    """In the namespaces that enter() made; without them some of it is
    lacking: IPv6, links that can be cut, the system's own resolver."""

    def __init__(self, folder, site_count):
        self.folder = folder
        self.authority = Authority(folder)
        self.processes = []
        self.at_end = []  # what else is to be done then
        self.zone = []
        self.sites = []
        self.is_cut = False
        self.lacks = {}  # what: why
        self.is_apart = INSIDE in os.environ
        if self.is_apart:
            run("ip", "link", "set", "lo", "up")
            self.hide("/etc/resolv.conf", f"nameserver {DNS_ADDRESS}\n")
            self.hide("/etc/hosts", "127.0.0.1 localhost\n")
        self.look()
        for _ in range(site_count):
            self.fresh_site()

    def look(self):
        """What this machine does not allow."""
        if not self.is_apart:
            why = "no network namespaces are allowed here"
            self.lacks = dict.fromkeys(("v6", "cuts", "resolver"), why)
            return
        if not is_possible("ip", "-6", "address", "replace", "fd00::1/128",
                           "dev", "lo", "nodad"):
            self.lacks["v6"] = "there is no IPv6 here"
        if not is_possible("nft", "add", "table", "inet", "trial"):
            self.lacks["cuts"] = "nft is not allowed here"

    def need(self, *wanted):
        for what in wanted:
            if what in self.lacks:
                raise Lacking(self.lacks[what])

    def fresh_site(self):
        site = Site(len(self.sites) + 1, "v6" not in self.lacks)
        if site.has_v6:
            run("ip", "-6", "address", "replace", f"{site.v6}/128", "dev",
                "lo", "nodad")
        self.sites.append(site)
        return site

    def hide(self, path, text):
        """Other text in place of a file, inside these namespaces only."""
        own = self.folder / Path(path).name
        own.write_text(text)
        run("mount", "--bind", own, path)
        self.at_end.append(lambda: run("umount", "--lazy", path))

    def add(self, domain):
        """Its certificate and its names."""
        self.authority.issue(domain.name, domain.certificate)
        self.zone += domain.records
        return domain

    def spawn(self, words, **how):
        process = subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.DEVNULL, **how)
        self.processes.append(process)
        return process

    def end(self, process):
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.processes.remove(process)
        return process.returncode

    def close(self):
        for process in list(reversed(self.processes)):
            self.end(process)
        for each in reversed(self.at_end):
            each()
        self.at_end.clear()

    def drop(self, *what):
        """From now on packets of these kinds vanish."""
        self.is_cut = True
        run("nft", "-f", "-", input="add table inet lab\n"
            "add chain inet lab input {type filter hook input priority 0;}\n"
            + "".join(f"add rule inet lab input {each} drop\n"
                      for each in what))

    def answer_late(self, port):
        """What a server says first on a connection to that port is lost once
        and comes when TCP repeats it, as after some way through a network."""
        if "cuts" in self.lacks:
            return
        run("nft", "-f", "-", input="add table inet late\n"
            "add set inet late answered "
            "{type inet_service; flags dynamic; timeout 10s;}\n"
            "add chain inet late input {type filter hook input priority 0;}\n"
            f"add rule inet late input tcp sport {port} meta length > 100 "
            "tcp dport != @answered add @answered {tcp dport} drop\n")

    def cut(self, site):
        """What goes to and comes from the addresses of that machine is lost,
        if it did not connect itself from another one."""
        self.drop(*(f"{family} {way} {address}"
                    for family, address in (("ip", site.v4), ("ip6", site.v6))
                    for way in ("saddr", "daddr")))

    def cut_servers(self):
        """What servers send each other is lost; their clients stay."""
        self.drop(*(f"tcp {way} {SERVER_PORTS}" for way in ("sport", "dport")))

    def cut_answers(self, ours, theirs):
        """What the server on the machine ours sends to the one on theirs
        arrives, and nothing comes back: no answers, no acknowledgements."""
        self.drop(*(f"{family} saddr {source} tcp sport {SERVER_PORTS}"
                    for family, source in (("ip", theirs.v4),
                                           ("ip6", theirs.v6))),
                  *(f"{family} daddr {target} tcp dport {SERVER_PORTS}"
                    for family, target in (("ip", ours.v4),
                                           ("ip6", ours.v6))))

    def mend(self):
        if self.is_cut:
            run("nft", "delete", "table", "inet", "lab")
        self.is_cut = False


def listens(address, port):
    """Whether somebody does there."""
    try:
        socket.create_connection((address, port), 1).close()
    except OSError:
        return False
    return True


def wait_for_port(address, port, process):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        if listens(address, port):
            return
        time.sleep(0.1)
    raise LabError(f"nobody listens on {address}, port {port}")


def missing_programs(*names):
    paths = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [name for name in names if shutil.which(name, path=paths) is None]
