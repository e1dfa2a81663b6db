"""What an administrator does, and what can go wrong, against the program."""

import hashlib
import json
import os
import pwd
import queue
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import discretion
import reports
import strangers
from discretion import shown_directly
from site_ import (
    HANDSHAKE, HOST, PASSWORD, PATIENCE_S, ROOT, Component, client, free_ports,
    online, ping, until)

VCARD = ("<iq type='set' id='v1'><vCard xmlns='vcard-temp'><FN>Romeo</FN>"
         "</vCard></iq>")
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


def fails(action, words):
    try:
        action()
    except client.ClientError as err:
        assert words in str(err), f"wanted {words}, got {err}"
        return
    raise AssertionError(f"did not fail with {words}")


# --- the start --------------------------------------------------------------


def refuses_an_unknown_setting(make):
    site = make()
    site.add("limits: {dept: 5}\n")
    site.refuses("unknown setting limits.dept; the nearest known one is "
                 "limits.depth")


def refuses_a_missing_certificate(make):
    site = make()
    site.change("localhost.pem", "elsewhere.pem")
    site.refuses("elsewhere.pem\": No such file or directory")


def refuses_a_key_of_another_certificate(make):
    site, other = make(), make()
    (site.folder / "localhost.key").write_bytes(
        (other.folder / "localhost.key").read_bytes())
    site.refuses("is not that of the certificate")
    (site.folder / "localhost.key").write_text("nothing of the kind\n")
    site.refuses("there is no private key")


def refuses_a_trust_anchor_that_is_none(make):
    for text, words in ((None, "No such file"),
                        ("; . IN DS 1 13 2 00\n", "no DNSKEY or DS record"),
                        ("the DS of .\n", "does not understand it")):
        site = make()
        site.add("dns: {trust_anchor: root.key}\n")
        if text is not None:
            (site.folder / "root.key").write_text(text)
        site.refuses(words)
        site.refuses("could not read the DNSSEC trust anchor")


def refuses_a_port_in_use(make):
    site = make()
    with socket.create_server(("127.0.0.1", site.port)):
        site.refuses("another server has it")


def refuses_an_unknown_user(make):
    if os.geteuid() == 0:
        for more, words in (("user: nosuchuser\n", "no user nosuchuser to"),
                            ("user: nobody\ngroup: nosuchgroup\n",
                             "no group nosuchgroup to")):
            site = make()
            site.add(more)
            site.refuses(words)


def becomes_another_user(make):
    if os.geteuid() == 0:
        site = make()
        site.add("user: nobody\n")
        site.folder.parent.chmod(0o711)
        nobody = pwd.getpwnam("nobody")
        for path in (site.folder, *site.folder.iterdir()):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        site.start()
        status = Path(f"/proc/{site.process.pid}/status").read_text()
        ids = [line.split()[1:] for line in status.splitlines()
               if line.startswith(("Uid:", "Gid:", "Groups:"))]
        assert ids == [[str(nobody.pw_uid)] * 4, [str(nobody.pw_gid)] * 4,
                       [str(nobody.pw_gid)]], ids
        site.adduser("romeo")
        assert "certificates" in site.command("reload").stdout
        site.login("romeo").close()


def refuses_postgres_that_it_cannot_find(make):
    site = make(storage="{backend: postgres}")
    site.refuses("set storage.conninfo")
    assert "set storage.conninfo" in site.command(
        "check", may_fail=True).stderr


def refuses_a_socket_without_a_folder(make):
    site = make()
    site.change("socket: jackdaw.sock", "socket: nowhere/jackdaw.sock")
    site.refuses("its folder is not there")


def refuses_an_unreachable_database(make):
    site = make(storage="{backend: postgres, conninfo: "
                "'host=127.0.0.1 port=1 user=nobody'}")
    site.refuses("is it running")


def refuses_a_wrong_database_password(make):
    conninfo = make.postgres.replace("user=jackdaw", "user=sealed")
    site = make(storage="{backend: postgres, conninfo: "
                f"'{conninfo} password=guessed'}}")
    site.refuses("password")


def refuses_a_newer_schema(make):
    site = make().start()
    site.end()
    subprocess.run(
        ["/usr/bin/python3", "-c", "import sqlite3, sys; "
         "sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version = 999')",
         site.folder / "jackdaw.sqlite"], check=True)
    site.refuses("newer version of this program")


def refuses_a_database_in_use(make):
    site, second = make().start(), make()
    second.change("path: jackdaw.sqlite",
                  f"path: {site.folder}/jackdaw.sqlite")
    second.refuses("used by another server")


def checks_a_configuration(make):
    site = make()
    assert "all is well" in site.command("check").stdout
    site.add("log: {level: loud}\n")
    done = site.command("check", may_fail=True)
    assert done.returncode == 1 and "log.level must be one of" in done.stderr
    done = site.command("--json", "check", may_fail=True)
    told = json.loads(done.stdout)
    assert done.returncode == 1 and not told["ok"], told
    assert "log.level must be one of" in told["error"], told
    told = json.loads(make().command("--json", "check").stdout)
    assert told == {"ok": True}, told


# --- the commands -----------------------------------------------------------


def makes_and_changes_accounts(make):
    site = make().start()
    romeo = f"romeo@{HOST}"
    assert site.command("adduser", romeo, password="abc",
                        may_fail=True).returncode == 1
    site.adduser("romeo")
    again = site.command("adduser", romeo, password=PASSWORD, may_fail=True)
    assert again.returncode == 1 and "there is an account" in again.stderr
    full = site.command("adduser", f"{romeo}/orchard", password=PASSWORD,
                        may_fail=True)
    assert full.returncode == 1 and "without a resource" in full.stderr
    site.command("passwd", romeo, password="another one")
    fails(lambda: site.login("romeo"), "not-authorized")
    site.login("romeo", password="another one").close()
    site.command("disable", romeo)
    fails(lambda: site.login("romeo", password="another one"),
          "account-disabled")
    site.command("enable", romeo)
    site.login("romeo", password="another one").close()
    assert site.json("users", HOST)["accounts"] == [
        {"jid": romeo, "disabled": False}]
    for word in ("deluser", "disable"):
        full = site.command(word, f"{romeo}/orchard", may_fail=True)
        assert full.returncode == 1 and "without a resource" in full.stderr
    site.login("romeo", password="another one").close()
    site.command("passwd", romeo, password="long" * 1000)
    fails(lambda: site.login("romeo", password="long" * 255), "not-authorized")
    site.login("romeo", password="long" * 1000).close()
    site.command("passwd", romeo, password="\ufb01do \u2460!")
    for word in ("\ufb01do \u2460!", "fido 1!"):  # as it is; by SASLprep
        site.login("romeo", password=word).close()
    site.command("deluser", romeo)
    fails(lambda: site.login("romeo", password="another one"),
          "not-authorized")
    assert site.json("users", HOST)["accounts"] == []


def asks_directly(site, method, path, body):
    """The status of the answer; the command line does not ask for that."""
    text = json.dumps(body).encode()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE_S)
        sock.connect(str(site.folder / "jackdaw.sock"))
        sock.sendall(b"%s %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (
            method.encode(), path.encode(), len(text), text))
        return int(sock.recv(65536).split()[1])


def changes_all_of_an_account_at_once(make):
    site = make().start()
    site.adduser("romeo")

    def change(**body):
        return asks_directly(
            site, "PATCH", f"/v1/accounts/romeo@{HOST}", body)

    assert change(password="the second", disabled=True) == 204
    fails(lambda: site.login("romeo", password="the second"),
          "account-disabled")
    assert change(password="the third one", disabled=False) == 204
    site.login("romeo", password="the third one").close()
    assert change(disabled=False) == 204
    for wrong in ({"password": "the fourth", "disabled": "yes"},
                  {"password": 4, "disabled": True}, {}):
        assert change(**wrong) == 422, wrong
    site.login("romeo", password="the third one").close()


def shows_and_ends_sessions(make):
    site = make().start()
    site.adduser("romeo")
    stream = site.login("romeo", "orchard")
    online(stream)
    [session] = site.json("sessions")["sessions"]
    assert session["jid"] == f"romeo@{HOST}/orchard"
    assert session["available"] and "TLS1.3" in session["tls"]
    site.command("kick", f"romeo@{HOST}/orchard")
    assert stream.take(lambda event: event[0] in ("close", "eof")), \
        "the stream goes on"
    until("the session goes", lambda: not site.json("sessions")["sessions"])


def tells_scripts_how_it_went(make):
    site = make()
    assert site.command("status", may_fail=True).returncode == 3
    danced = site.command("dance", may_fail=True)
    assert danced.returncode == 2 and "no command dance" in danced.stderr
    assert site.command("run", "fast", may_fail=True).returncode == 2
    site.start()
    assert site.command("kick", may_fail=True).returncode == 2
    assert site.command("deluser", f"nobody@{HOST}",
                        may_fail=True).returncode == 1
    assert site.json("status")["storage_up"] is True
    assert site.json("s2s") == {"pairs": [], "domains": []}


def join_component(site, name):
    """The site, which does not run yet, gets a component; it joins."""
    [port] = free_ports(1)
    site.add(f"listen.components: {{addresses: [127.0.0.1], port: {port}}}\n"
             f"domains: {{{name}: {{component: {{secret: s}}}}}}\n")
    site.start()
    stream = Component.dial(("127.0.0.1", port), [], PATIENCE_S)
    stream.start_stream(name)
    [_, header] = stream.next()
    proof = hashlib.sha1((header.get("id") + "s").encode()).hexdigest()
    stream.send(f"<handshake>{proof}</handshake>")
    client.expect(stream, HANDSHAKE)
    return stream


def counts_what_each_domain_sent_and_got(make):
    """Also when it has gone."""
    site, echo = make(), f"echo.{HOST}"
    component = join_component(site, echo)
    site.adduser("romeo")
    romeo = site.login("romeo")
    for _ in range(3):
        romeo.send(f"<message to='a@{echo}'><body>x</body></message>")
        client.expect(component, "{jabber:client}message")
    for _ in range(2):
        component.send(f"<message from='a@{echo}' to='romeo@{HOST}/test'>"
                       "<body>x</body></message>")
        client.expect(romeo, "{jabber:client}message")
    until("it answers for all that it got", lambda: not component.pump(0.1) and
          site.json("s2s")["pairs"][0]["queued"] == 0)
    [linked] = site.json("s2s")["domains"]
    assert (linked["domain"], linked["unused_s"]) == (echo, None), linked
    assert linked["stanzas"]["sent"] == 3, linked
    component.close()
    until("the server sees it go", lambda: not any(
        pair["state"] == "connected" for pair in site.json("s2s")["pairs"]))
    refused = romeo.ask("i1", f"<iq type='get' id='i1' to='{echo}'>"
                        "<ping xmlns='urn:xmpp:ping'/></iq>")
    assert refused.get("type") == "error", client.show(refused)
    assert site.json("s2s")["domains"] == [{
        "domain": echo, "unused_s": None, "last_error": None,
        "stanzas": {"sent": 3, "received": 2, "bounced": 1, "dropped": 0,
                    "connects": 0, "failures": 0}}], site.json("s2s")


def tells_who_may_ask(make):
    if os.geteuid() == 0:
        site = make().start()
        for path in (site.folder.parent, site.folder):
            path.chmod(0o755)
        for path in site.folder.iterdir():
            if not path.is_socket():
                path.chmod(0o644)
        # Where it was built not everybody may look.
        program = Path(shutil.copy(site.program, site.folder / "program"))
        program.chmod(0o755)
        nobody = pwd.getpwnam("nobody")
        done = subprocess.run(
            [program, "-c", site.config, "status"], user=nobody.pw_uid,
            group=nobody.pw_gid, extra_groups=[], capture_output=True,
            text=True, check=False)
        assert done.returncode == 3, done.stderr
        assert "by its owner and group" in done.stderr, done.stderr


def says_what_it_can_and_does(make):
    site = make().start()
    assert "XEP-0191" in site.command("features").stdout
    names = [each["name"] for each in site.json("features")["modules"]]
    assert "roster" in names and "offline" in names
    site.command("log", "wire")
    site.adduser("romeo")
    stream = site.login("romeo")
    ping(stream)
    assert "got <iq" in site.said()
    site.command("log", "warn")
    shown = site.said()
    ping(stream, "p2")
    assert site.said() == shown, "it goes on to say more"
    loud = site.command("log", "loud", may_fail=True)
    assert loud.returncode == 1 and "level must be" in loud.stderr
    stream.close()
    site.command("stop")
    assert site.wait() == 0
    assert site.command("stop", may_fail=True).returncode == 3


def copies_the_database(make):
    site, copy = make().start(), make()
    site.adduser("romeo")
    site.command("backup", str(copy.folder / "jackdaw.sqlite"))
    site.end()
    copy.start()
    copy.login("romeo").close()


def counts_what_happens(make):
    site = make().start()
    site.adduser("romeo")
    stream = site.login("romeo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(site.folder / "jackdaw.sock"))
        sock.sendall(b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
    stream.close()
    assert "application/openmetrics-text" in text
    assert "jackdaw_logins_total 1\n" in text and text.endswith("# EOF\n")


def keeps_the_administration_from_garbage(make):
    site = make().start()
    for garbage in (b"\x00" * 4096, b"GET /" + b"a" * 65536, b"PUT / HTTP/1.1"
                    b"\r\nContent-Length: 99999999999\r\n\r\n",
                    b"POST /v1/accounts HTTP/1.1\r\nContent-Length: 2\r\n\r\n"
                    b"[]",
                    b"GET /nothing HTTP/1.1\r\n\r\nnothing of the kind"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE_S)
            sock.connect(str(site.folder / "jackdaw.sock"))
            try:
                sock.sendall(garbage)
                sock.shutdown(socket.SHUT_WR)
                answer = sock.recv(65536)
            except ConnectionError:
                answer = b""
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
    site.command("status")


# --- running ----------------------------------------------------------------


def reloads_without_dropping_a_stream(make):
    site, other = make().start(), make()
    site.adduser("romeo")
    stream = site.login("romeo")
    old = shown_directly(site, HOST)
    for name in ("localhost.pem", "localhost.key"):
        (site.folder / name).write_bytes((other.folder / name).read_bytes())
    site.process.send_signal(signal.SIGHUP)
    until("the new certificate is shown", lambda: shown_directly(site, HOST) != old)
    ping(stream)
    site.change("localhost.pem", "elsewhere.pem")
    done = site.command("reload", may_fail=True)
    assert done.returncode == 1 and "elsewhere.pem" in done.stderr
    ping(stream, "p2")
    stream.close()


def is_patient_with_who_reloads_too_early(make):
    """While it starts: it reads its key when it is told to reload."""
    site = make()
    key = site.folder / "localhost.key"
    text = key.read_bytes()
    key.unlink()
    os.mkfifo(key)
    with ThreadPoolExecutor(1) as thread:
        started = thread.submit(site.start)
        with key.open("wb", buffering=0) as pipe:
            until("it runs", lambda: site.process is not None)
            site.process.send_signal(signal.SIGHUP)
            aside = site.folder / "aside"
            key.rename(aside)
            key.write_bytes(text)
            pipe.write(text)
        started.result()
    until("it reloads", lambda: "certificates reloaded" in site.said())


def reloads_where_the_log_goes(make):
    site = make()
    site.add("log: {level: info}\n")
    site.start()
    site.change("log: {level: info}", "log: {where: moved.log, form: json}")
    site.command("reload")
    lines = (site.folder / "moved.log").read_text().splitlines()
    assert "reloaded" in json.loads(lines[-1])["text"], lines
    site.change("moved.log", "nowhere/moved.log")
    done = site.command("reload", may_fail=True)
    assert done.returncode == 1 and "could not open the log" in done.stderr
    lines = (site.folder / "moved.log").read_text().splitlines()
    assert "could not reload" in json.loads(lines[-1])["text"], lines


def ends_in_order(make):
    site = make().start()
    site.adduser("romeo")
    stream = site.login("romeo")
    site.process.send_signal(signal.SIGTERM)
    event = stream.take(lambda event: event[0] == "element")
    assert "system-shutdown" in client.say(event), client.say(event)
    site.process.send_signal(signal.SIGHUP)  # which is too late
    stream.close()
    assert site.wait() == 0
    site.start()
    site.login("romeo").close()


def tells_its_service_manager(make):
    site, said = make(), queue.Queue()
    path = str(site.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, \
            ThreadPoolExecutor(1) as thread:
        manager.bind(path)
        # All the time, as a manager does: who tells it waits until it hears.
        thread.submit(hear_all, manager, said)
        try:
            check_told(site, path, said)
        finally:
            manager.shutdown(socket.SHUT_RDWR)


def hear_all(manager, said):
    """Until it is shut down."""
    while text := manager.recv(4096):
        said.put(text.decode().splitlines())


def check_told(site, path, said):
    def told(state):
        while state not in said.get(timeout=PATIENCE_S):
            pass

    site.start(lambda: os.environ.update(
        NOTIFY_SOCKET=path, WATCHDOG_USEC="300000"))
    told("READY=1")
    told("WATCHDOG=1")
    told("WATCHDOG=1")
    site.process.send_signal(signal.SIGHUP)
    told("RELOADING=1")
    told("READY=1")
    site.process.send_signal(signal.SIGTERM)
    told("STOPPING=1")
    assert site.wait() == 0


def leave_requests(site, count):
    """Durable letters of an earlier run: as many more ask romeo."""
    base = sqlite3.connect(site.folder / "jackdaw.sqlite")
    [kind] = base.execute("SELECT id FROM kinds WHERE name = 'outbox'")
    for number in range(1, count + 1):
        stanza = (f"0 <presence xmlns='jabber:client' type='subscribe' "
                  f"from='from{number}@{HOST}' to='romeo@{HOST}'/>")
        base.execute(
            "INSERT INTO logs (owner, id, nonce, time, thread, kind, flags,"
            " peer, value) VALUES (1, ?, 1, ?, 0, ?, 4, ?, ?)",
            (number, number, kind[0], b"", stanza.encode()))
    base.commit()
    base.close()


def posts_all_that_was_left(make):
    site = make()
    site.add("quota: {pending_requests: 1000}\n")
    site.start()
    site.adduser("romeo", "juliet")
    stream = site.login("juliet")
    stream.send(f"<presence type='subscribe' to='romeo@{HOST}'/>")
    stream.fence(HOST)
    stream.close()
    site.end()
    leave_requests(site, 450)
    quick = ThreadPoolExecutor(1).submit(requests_at_once, site)
    site.start()
    assert quick.result() == 451


def requests_at_once(site):
    """Who asks for a subscription, as the first client to get in sees it."""
    while True:
        try:
            stream = site.login("romeo")
            break
        except (client.ClientError, OSError):
            time.sleep(0.001)
    stream.send("<iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>"
                "<presence/><iq type='get' id='p1'>"
                "<ping xmlns='urn:xmpp:ping'/></iq>")
    asked = set()
    while True:
        _, element = stream.take(lambda event: event[0] == "element")
        if element.get("type") == "subscribe":
            asked.add(element.get("from"))
        if element.get("id") == "p1":
            stream.close()
            return len(asked)


def starts_again_after_kill(make):
    site = make().start()
    site.adduser("romeo")
    stream = site.login("romeo")
    assert stream.ask("v1", VCARD).get("type") == "result"
    site.end(signal.SIGKILL)
    site.start()
    answer = site.login("romeo").ask(
        "v2", "<iq type='get' id='v2'><vCard xmlns='vcard-temp'/></iq>")
    assert answer.find(".//{vcard-temp}FN").text == "Romeo"


def serves_whom_it_has_without_descriptors(make):
    site = make()
    site.start(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96)))
    site.adduser("romeo")
    stream = site.login("romeo")
    crowd = []
    for _ in range(200):
        crowd.append(socket.create_connection(("127.0.0.1", site.port),
                                              PATIENCE_S))
    time.sleep(1)
    ping(stream)
    for each in crowd:
        each.close()
    until("new logins work again", lambda: can_log_in(site))
    ping(stream, "p2")
    stream.close()


def serves_both_families(make):
    site = make().start()
    families = ["127.0.0.1"]
    known = Path("/proc/net/if_inet6")
    if known.is_file() and known.read_text():
        families.append("::1")
    for address in families:
        for port in (site.port, site.tls_port):
            socket.create_connection((address, port), PATIENCE_S).close()
        with socket.create_connection((address, site.port)) as sock:
            sock.settimeout(PATIENCE_S)
            sock.sendall(f"<stream:stream to='{HOST}' version='1.0' "
                         "xmlns='jabber:client' xmlns:stream="
                         "'http://etherx.jabber.org/streams'>".encode())
            assert b"<stream:stream" in sock.recv(1000)


def shakes_hands_in_turn(make):
    site = make()
    site.add("limits: {handshakes: 1}\n")
    site.start()
    # Who only connects, or never goes on, must not keep the others out.
    idle = [socket.create_connection(("127.0.0.1", site.tls_port))
            for _ in range(3)]
    threads = ThreadPoolExecutor(10)
    done = [threads.submit(shown_directly, site, HOST) for _ in range(20)]
    assert len({each.result(PATIENCE_S) for each in done}) == 1
    for each in idle:
        each.close()


def closes_whom_does_not_read(make):
    site = make()
    site.add("limits: {stanza: 10000 B, rate: 0 B}\n")
    site.start()
    site.adduser("romeo", "juliet")
    romeo, juliet = site.login("romeo"), site.login("juliet", "deaf")
    message = (f"<message type='headline' to='{juliet.jid}'>"
               f"<body>{'x' * 9000}</body></message>")
    sent = 0
    while "/deaf: closed: peer does not read" not in site.said():
        assert sent < 5000, "the queue has no end"
        for _ in range(50):
            romeo.send(message)
        sent += 50
        ping(romeo, f"p{sent}")
    romeo.close()


def hears_a_client_that_sends_single_bytes(make):
    site = make().start()
    site.adduser("romeo")
    stream = site.login("romeo")
    for byte in "<iq type='get' id='b1'><ping xmlns='urn:xmpp:ping'/></iq>":
        stream.send(byte)
    assert stream.take(lambda event: event[0] == "element" and
                       event[1].get("id") == "b1") is not None
    stream.close()


def can_log_in(site, name="romeo"):
    try:
        site.login(name, "again").close()
        return True
    except (client.ClientError, OSError):
        return False


def says_why_streams_end_and_no_secrets(make):
    site = make()
    site.add("log: {level: wire}\n")
    site.start()
    site.adduser("romeo")
    stream = site.login("romeo", "orchard")
    assert "got <iq" in site.said()
    answer = stream.ask(
        "r1", "<iq type='set' id='r1'><query xmlns='jabber:iq:register'>"
        f"<username>romeo</username><password>{PASSWORD}</password></query>"
        "</iq>")
    assert answer.get("type") == "result", client.show(answer)
    stream.send("</stream:stream>")
    stream.take(lambda event: event[0] == "eof")
    until("the end is logged", lambda: "/orchard: closed" in site.said())
    ends = [line for line in site.said().splitlines()
            if "/orchard: closed" in line]
    assert len(ends) == 1, ends
    assert PASSWORD not in site.said()


# --- the database goes away ---------------------------------------------------


def survives_its_database(make):
    site = make(storage=f"{{backend: postgres, conninfo: '{make.postgres}', "
                "deadline: 8 s}")
    site.start()
    site.adduser("romeo", "juliet", "nurse")
    romeo, juliet = site.login("romeo"), site.login("juliet")
    online(romeo)
    online(juliet)
    make.postgres_stop()
    try:
        chat(romeo, juliet)
        refused = romeo.ask("v1", VCARD)
        assert refused.find(".//{jabber:client}error").get("type") == "wait", \
            client.show(refused)
        fails(lambda: site.login("nurse"), "temporary-auth-failure")
    finally:
        make.postgres_start()
    until("logins work again", lambda: can_log_in(site, "nurse"))
    assert romeo.ask("v3", VCARD.replace("v1", "v3")).get("type") == "result"
    chat(juliet, romeo)


def chat(sender, receiver):
    sender.send(f"<message type='chat' to='{receiver.jid}'>"
                f"<body>to {receiver.jid}</body></message>")
    event = receiver.take(lambda event: event[0] == "element" and
                          event[1].tag == "{jabber:client}message")
    assert event is not None, "a message between those online does not arrive"


# --- what ./run promises ------------------------------------------------------

def printed_commands(site):
    """Those that ./run says to type next."""
    return [line.split() for line in site.said().splitlines()
            if line.startswith("    build/jackdaw ")]


def run_once(site, place):
    """./run in that folder, until Ctrl-C; in between, what it says to do."""
    with site.output.open("wb") as output:
        site.process = subprocess.Popen(
            [place / "run"], stdin=subprocess.DEVNULL, stdout=output,
            stderr=output, start_new_session=True)
    until("./run serves", lambda: site.process.poll() is not None or
          site.command("status", may_fail=True).returncode == 0)
    for words in printed_commands(site):
        assert words[3] == "adduser", words
        # The second time they are there already.
        subprocess.run([*words, "--password-stdin"], cwd=place, text=True,
                       input=PASSWORD + "\n", capture_output=True,
                       check=False)
    for name in ("romeo", "juliet"):
        site.login(name).close()
    os.killpg(site.process.pid, signal.SIGINT)
    assert site.wait() == 0, site.said()
    until("the log has its end", lambda: "ended in order" in
          (site.folder / "jackdaw.log").read_text())


def runs_out_of_the_box(make):
    """./run beside a var/ whose ports are free, twice."""
    site = make()
    place = site.folder.parent / "place"
    place.mkdir()
    for name, target in (("run", ROOT / "run"), ("etc", ROOT / "etc"),
                         ("build", Path(site.program).parent),
                         ("var", site.folder)):
        (place / name).symlink_to(target)
    run_once(site, place)
    assert len(printed_commands(site)) == 2, site.said()
    run_once(site, place)



# Of a build without sanitizers, which need memory for themselves.
RELEASE_CASES = [
    *strangers.CASES,
    *reports.RELEASE_CASES,
    runs_out_of_the_box,
]

CASES = [
    refuses_an_unknown_setting,
    refuses_a_missing_certificate,
    refuses_a_key_of_another_certificate,
    refuses_a_trust_anchor_that_is_none,
    refuses_a_port_in_use,
    refuses_an_unknown_user,
    becomes_another_user,
    refuses_postgres_that_it_cannot_find,
    refuses_a_socket_without_a_folder,
    refuses_an_unreachable_database,
    refuses_a_wrong_database_password,
    refuses_a_newer_schema,
    refuses_a_database_in_use,
    checks_a_configuration,
    makes_and_changes_accounts,
    changes_all_of_an_account_at_once,
    shows_and_ends_sessions,
    tells_scripts_how_it_went,
    counts_what_each_domain_sent_and_got,
    tells_who_may_ask,
    says_what_it_can_and_does,
    copies_the_database,
    counts_what_happens,
    keeps_the_administration_from_garbage,
    reloads_without_dropping_a_stream,
    is_patient_with_who_reloads_too_early,
    reloads_where_the_log_goes,
    ends_in_order,
    tells_its_service_manager,
    posts_all_that_was_left,
    starts_again_after_kill,
    serves_whom_it_has_without_descriptors,
    serves_both_families,
    shakes_hands_in_turn,
    closes_whom_does_not_read,
    hears_a_client_that_sends_single_bytes,
    says_why_streams_end_and_no_secrets,
    survives_its_database,
    *discretion.CASES,
    *reports.CASES,
]
