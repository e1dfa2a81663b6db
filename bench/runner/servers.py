"""The servers that are compared: how each is configured, started, stopped.

Everything a server makes is in a folder of its own; it listens on free ports
of 127.0.0.1, and only processes started here are stopped, by their id.
"""

import glob
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "etc" / "check"))
from ports import free_ports  # noqa: E402  (needs the path above)

PATIENCE_S = 120
POSTGRES_PORT = 5432  # names its Unix socket, too
LOG_SEGMENTS = 40  # of 16 MiB
DOMAIN = "localhost"
PASSWORD = "secret"
UNPRIVILEGED = "postgres"
WITH_ARCHIVE = ("chat", "rate", "ack", "ack-fleeting", "catch-up")


class Missing(Exception):
    """A server cannot be run; says which Debian package is missing."""


def make_certificate(where):
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem",
         "-out", "cert.pem", "-days", "30", "-subj", f"/CN={DOMAIN}",
         "-addext", f"subjectAltName=DNS:{DOMAIN}"),
        cwd=where, check=True, capture_output=True)
    both = (where / "cert.pem").read_text() + (where / "key.pem").read_text()
    (where / "both.pem").write_text(both)


class Server:
    """One server; the subclasses say what differs."""

    name = ""
    workloads = ("idle", "hibernated", "login", "plain", "chat", "rate",
                 "presence", "offline", "ack", "ack-fleeting")
    has_accounts = True
    both_cores = False
    config_name = ""
    config = ""

    def __init__(self, where, build):
        self.where = where / self.name
        self.build = build
        self.process = None
        self.port = self.plain_port = 0
        self.database = None

    def check(self):
        """Raises Missing."""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def prepare(self):
        """Makes what is there before the first start."""
        self.where.mkdir()
        (self.where / "data").mkdir()
        make_certificate(self.where)

    def make_accounts(self, count):
        """True when that is done; otherwise the load registers in-band."""
        return False

    def settings(self):
        return {"dir": self.where, "domain": DOMAIN, "direct": self.port,
                "plain": self.plain_port}

    def start(self, cores):
        self.port, self.plain_port = free_ports()
        if self.config_name:
            (self.where / self.config_name).write_text(
                self.config.format(**self.settings()))
        with open(self.where / "out", "ab") as out:
            self.process = subprocess.Popen(
                ("taskset", "-c", cores, *self.command()), cwd=self.where,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=os.environ | self.environment(), start_new_session=True)
        self.wait_until_up()

    def is_up(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def wait_until_up(self):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.is_up():
                return
            time.sleep(0.1)
        said = (self.where / "out").read_text(errors="replace")
        raise SystemExit(f"{self.name} did not start: {said[-2000:]}")

    def stop(self):
        if self.process is not None:
            end(self.process, signal.SIGTERM)
        self.process = None

    def close(self):
        """Stops for good."""
        self.stop()


def end(process, how):
    process.send_signal(how)
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def need(found, package):
    if not found:
        raise Missing(f"the Debian package {package} is not installed")


class Postgres:
    """A database of a server's own, which listens on a Unix socket, and on a
    port of 127.0.0.1 for who asks for one."""

    def __init__(self, where, port=None):
        where.mkdir()
        if os.getuid() == 0:
            os.chown(where, pwd.getpwnam(UNPRIVILEGED).pw_uid, -1)
        programs = Path(self.programs()[-1]).parent
        made = self.as_user((programs / "initdb", "-D", where / "rows", "-U",
                             "bench", "-A", "trust", "-E", "UTF8",
                             "--locale=C", "--no-sync"))
        if made.wait() != 0:
            raise SystemExit("initdb failed")
        listen = "" if port is None else "127.0.0.1"
        number = ("-p", str(port or POSTGRES_PORT))
        self.process = self.as_user((programs / "postgres", "-D",
                                     where / "rows", "-k", where,
                                     "-c", "min_wal_size=1GB", "-c",
                                     f"listen_addresses={listen}", *number))
        ready = (programs / "pg_isready", "-q", "-h", where, *number)
        while subprocess.run(ready, check=False).returncode != 0:
            if self.process.poll() is not None:
                raise SystemExit("postgres did not start")
            time.sleep(0.1)
        self.make_segments((programs / "psql", "-h", where, *number))

    def make_segments(self, psql):
        """What its log is written to when it has run for a while."""
        segment = ("-c", "SELECT pg_logical_emit_message(false, '', '')",
                   "-c", "SELECT pg_switch_wal()")
        made = self.as_user((*psql, "-U", "bench", *(LOG_SEGMENTS * segment),
                             "-c", "CHECKPOINT", "postgres"))
        if made.wait() != 0:
            raise SystemExit("the log of PostgreSQL could not be filled")

    @staticmethod
    def programs():
        return sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))

    @classmethod
    def check(cls):
        need(cls.programs(), "postgresql")

    @staticmethod
    def as_user(words, **more):
        """PostgreSQL refuses to be run by root."""
        if os.getuid() == 0:
            more |= {"user": UNPRIVILEGED, "group": UNPRIVILEGED,
                     "extra_groups": []}
        return subprocess.Popen(
            words, cwd="/", stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, **more)

    def close(self):
        end(self.process, signal.SIGINT)


class Floor(Server):
    name = "floor"
    workloads = ("idle", "login", "plain", "chat", "rate", "presence")
    has_accounts = False

    def command(self):
        return (self.build / "bench" / "floor", "cert.pem", "key.pem",
                str(self.port))


class Prosody(Server):
    name = "prosody"
    archive = ""
    config_name = "prosody.cfg.lua"
    config = """
run_as_root = true
pidfile = "{dir}/server.pid"
data_path = "{dir}/data"
certificates = "{dir}"
log = {{ error = "{dir}/log" }}
gc = {{ mode = "generational" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {plain} }}
c2s_direct_tls_ports = {{ {direct} }}
ssl = {{ key = "{dir}/key.pem", certificate = "{dir}/cert.pem" }}
c2s_require_encryption = true
allow_registration = true
authentication = "internal_hashed"
default_iteration_count = 4096
storage = "internal"
modules_disabled = {{ "s2s" }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "private",
    "blocklist", "vcard_legacy", "pep", "version", "uptime", "time", "ping",
    "register", "offline", "server_contact_info", "lastactivity",
    "smacks"{archive} }}
smacks_hibernation_time = 1800
VirtualHost "{domain}"
"""

    def check(self):
        need(shutil.which("prosody"), "prosody")

    def settings(self):
        return super().settings() | {"archive": self.archive}

    def command(self):
        return ("prosody", "-F", "--config", self.where / self.config_name)


class Ejabberd(Server):
    name = "ejabberd"
    more = ""
    config_name = "ejabberd.yml"
    config = """
hosts: [{domain}]
loglevel: error
certfiles: ["{dir}/both.pem"]
registration_timeout: infinity
shaper_rules: {{}}
auth_password_format: scram
listen:
  - {{port: {direct}, ip: "127.0.0.1", module: ejabberd_c2s, tls: true,
     backlog: 1024,
     max_stanza_size: 262144}}
access_rules:
  register: {{allow: all}}
modules:
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_pubsub: {{plugins: [flat, pep]}}
  mod_register: {{ip_access: all, access: register, password_strength: 0}}
  mod_roster: {{versioning: true}}
  mod_stream_mgmt: {{resume_timeout: 1800, max_resume_timeout: 1800}}
  mod_time: {{}}
  mod_vcard: {{}}
  mod_version: {{}}
{more}"""

    @staticmethod
    def libraries():
        return sorted(glob.glob("/usr/lib/*/ejabberd-*/ebin"))

    def check(self):
        need(self.libraries() and shutil.which("erl"), "ejabberd")

    def settings(self):
        return super().settings() | {"more": self.more}

    def command(self):
        return ("erl", "-noinput", "-boot", "start_sasl", "-sasl",
                "sasl_error_logger", "false", "-mnesia", "dir",
                f'"{self.where}/data"', "-s", "ejabberd")

    def environment(self):
        libraries = Path(self.libraries()[-1]).parent.parent
        return {"ERL_LIBS": str(libraries), "HOME": str(self.where),
                "EJABBERD_CONFIG_PATH": str(self.where / self.config_name),
                "EJABBERD_LOG_PATH": str(self.where / "log")}


class Jackdaw(Server):
    """On SQLite, with one shard; it does what the others do."""

    name = "jackdaw"
    config_name = "jackdaw.yaml"
    shards = 1
    config = """
hosts: {{{domain}: {{}}}}
listen:
  c2s: {{addresses: [127.0.0.1], port: {plain}}}
  tls: {{addresses: [127.0.0.1], port: {direct}}}
certificate: cert.pem
key: key.pem
shards: {shards}
state_directory: data
storage: {storage}
admin: {{socket: jackdaw.sock}}
log: {{level: warn}}
auth: {{iterations: 4096}}
limits: {{connections: 0, rate: 0}}
s2s: {{enabled: false}}
modules: {{archive: {archive}, carbons: false, client_state: false, push: false}}
"""
    archive = "false"

    def check(self):
        if not (self.build / "jackdaw").exists():
            raise Missing(f"there is no {self.build}/jackdaw")

    def command(self):
        return (self.build / "jackdaw", "-c", self.config_name, "run")

    def is_up(self):
        return super().is_up() and (self.where / "jackdaw.sock").exists()

    def make_accounts(self, count):
        admin = UnixConnection(self.where / "jackdaw.sock")
        for number in range(count):
            body = {"jid": f"u{number}@{DOMAIN}", "password": PASSWORD}
            admin.request("POST", "/v1/accounts", json.dumps(body))
            answer = admin.getresponse()
            said = answer.read()
            if answer.status >= 300:
                raise SystemExit(f"{self.name}: no account: {said}")
        return True

    def storage(self):
        return "{backend: sqlite, path: jackdaw.sqlite}"

    def settings(self):
        return super().settings() | {"shards": self.shards,
                                     "storage": self.storage(),
                                     "archive": self.archive}


class JackdawTwo(Jackdaw):
    """With two shards, which share both cores with the load."""

    name = "jackdaw-2"
    workloads = ("chat",)
    shards = 2
    both_cores = True


class JackdawPostgres(Jackdaw):
    name = "jackdaw-pg"
    workloads = ("login", "offline", "ack", "ack-fleeting")

    def check(self):
        super().check()
        Postgres.check()

    def prepare(self):
        super().prepare()
        self.postgres = Postgres(self.where / "postgres")
        self.database = self.postgres.process

    def storage(self):
        return ("{backend: postgres, conninfo: "
                f'"host={self.where}/postgres user=bench dbname=postgres"}}')

    def close(self):
        super().close()
        if self.database is not None:
            self.postgres.close()


class JackdawArchive(Jackdaw):
    """Both sides of each message are archived."""

    name = "jackdaw-archive"
    workloads = WITH_ARCHIVE
    archive = "true"


class JackdawArchivePostgres(JackdawPostgres):
    name = "jackdaw-pg-archive"
    workloads = WITH_ARCHIVE
    archive = "true"


class ProsodyArchive(Prosody):
    """Its archive is in files."""

    name = "prosody-archive"
    workloads = WITH_ARCHIVE
    archive = ', "mam"'


class EjabberdArchive(Ejabberd):
    """On a PostgreSQL of its own: Erlang's database holds 2 GiB at most."""

    name = "ejabberd-archive"
    workloads = WITH_ARCHIVE
    more = """
  mod_mam: {{default: always, db_type: sql, request_activates_archiving: false}}
sql_type: pgsql
sql_server: "127.0.0.1"
sql_port: {sql_port}
sql_database: postgres
sql_username: bench
sql_password: ""
new_sql_schema: false
sql_pool_size: 10
"""

    def check(self):
        super().check()
        Postgres.check()
        need(glob.glob("/usr/lib/erlang/lib/p1_pgsql-*"), "erlang-p1-pgsql")

    def prepare(self):
        super().prepare()
        [self.sql_port] = free_ports(1)
        self.postgres = Postgres(self.where / "postgres", self.sql_port)
        self.database = self.postgres.process
        schema = Path("/usr/share/ejabberd/sql/pg.sql")
        subprocess.run(
            ("psql", "-q", "-h", "127.0.0.1", "-p", str(self.sql_port), "-U",
             "bench", "-f", schema, "postgres"), check=True,
            stdout=subprocess.DEVNULL)

    def settings(self):
        more = self.more.format(sql_port=self.sql_port)
        return super().settings() | {"more": more}

    def close(self):
        super().close()
        if self.database is not None:
            self.postgres.close()


SERVERS = {each.name: each for each in (
    Floor, Jackdaw, JackdawTwo, JackdawPostgres, JackdawArchive,
    JackdawArchivePostgres, Prosody, ProsodyArchive, Ejabberd,
    EjabberdArchive)}
