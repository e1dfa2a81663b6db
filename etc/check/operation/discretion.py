"""What the program shows of passwords, messages and certificates, to whom."""

import base64
import contextlib
import os
import pty
import shutil
import signal
import socket
import ssl
import subprocess
import termios
import time
from pathlib import Path
from types import SimpleNamespace

from site_ import HOST, PATIENCE_S, client, online, ping, until

SECOND = f"second.{HOST}"

# --- passwords ----------------------------------------------------------------


def echoes(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def read_until(terminal, words):
    shown, end = "", time.monotonic() + PATIENCE_S
    while words not in shown:
        assert time.monotonic() < end, f"no {words!r} in {shown!r}"
        shown += os.read(terminal, 1000).decode()
    return shown


def asks_for_passwords_without_echo(make):
    site = make().start()
    password = "typed where others look"
    mine, its = pty.openpty()
    assert echoes(its)
    with subprocess.Popen(
            [site.program, "-c", site.config, "adduser", f"romeo@{HOST}"],
            stdin=its, stdout=its, stderr=its,
            start_new_session=True) as process:
        for prompt in ("Password: ", "The same again: "):
            # What is typed before the prompt may be thrown away.
            shown = read_until(mine, prompt)
            assert not echoes(its), f"{prompt}: what is typed is shown"
            os.write(mine, password.encode() + b"\n")
            assert password not in shown
        assert process.wait(PATIENCE_S) == 0
    assert echoes(its), "the terminal stays without echo"
    os.close(its)
    try:
        while rest := os.read(mine, 1000).decode():
            assert password not in rest
    except OSError:  # all that was written has been read
        pass
    os.close(mine)
    site.login("romeo", password=password).close()


def who_gives_up_has_the_terminal_back(make):
    site = make().start()
    mine, its = pty.openpty()
    with subprocess.Popen(
            [site.program, "-c", site.config, "adduser", f"romeo@{HOST}"],
            stdin=its, stdout=its, stderr=its,
            start_new_session=True) as process:
        read_until(mine, "Password: ")
        assert not echoes(its)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == -signal.SIGINT
    assert echoes(its), "the terminal stays without echo"
    os.close(its)
    os.close(mine)


def ask_register(stream, name, password):
    answer = stream.ask(
        "r1", "<iq type='set' id='r1'><query xmlns='jabber:iq:register'>"
        f"<username>{name}</username><password>{password}</password></query>"
        "</iq>")
    assert answer.get("type") == "result", client.show(answer)


def give_passwords(site):
    """Every way in which a password reaches the server; all of them."""
    given = [f"{way} it is kept by nobody" for way in
             ("made", "changed", "registered", "typed", "at the end")]
    site.command("adduser", f"benvolio@{HOST}", password=given[0])
    site.login("benvolio", password=given[0]).close()
    site.command("passwd", f"benvolio@{HOST}", password=given[1])
    stream = site.dialer().open([], "secure")
    client.start_stream(stream, HOST)
    ask_register(stream, "rosaline", given[2])
    stream.close()
    stream = site.login("rosaline", password=given[2])
    ask_register(stream, "rosaline", given[3])
    stream.close()
    site.command("passwd", f"rosaline@{HOST}", password=given[4])
    for name, password in (("benvolio", given[1]), ("rosaline", given[4])):
        for _ in range(2):
            stream = site.dialer().open([], "secure")
            client.start_stream(stream, HOST)
            client.authenticate(stream, SimpleNamespace(
                user=name, password=password), "PLAIN")
            stream.close()
    return given


def keep_canary(site):
    """What is meant to be kept, to see that it would be found."""
    site.command("adduser", f"canary@{HOST}", password="quite another one")
    stream = site.login("canary", password="quite another one")
    answer = stream.ask("v1", "<iq type='set' id='v1'><vCard xmlns="
                        "'vcard-temp'><FN>yellow canary</FN></vCard></iq>")
    assert answer.get("type") == "result", client.show(answer)
    stream.close()


def holds(data, text):
    """Whether the text is there, as it is, in base64 or in hexadecimal."""
    plain = text.encode()
    forms = [plain, plain.hex().encode(), plain.hex().upper().encode()]
    # In base64 it looks different by where it begins; its ends may differ.
    for before in range(3):
        forms.append(base64.b64encode(b"x" * before + plain)[4:-4])
    return any(form in data for form in forms)


def check_kept(data, passwords):
    assert holds(data, "yellow canary"), "what is kept is not looked at"
    for password in passwords:
        assert not holds(data, password), f"'{password}' is kept"


def files_of(folder):
    texts = []
    for path in sorted(Path(folder).rglob("*")):
        # Who writes there may just have taken one away.
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                texts.append(path.read_bytes())
    return b"\0".join(texts)


def keeps_only_salted_keys(make):
    site = make()
    site.add("registration: {open: true}\n")
    site.start()
    passwords = give_passwords(site)
    keep_canary(site)
    check_kept(files_of(site.folder), passwords)
    site.end()
    check_kept(files_of(site.folder), passwords)


def keeps_only_salted_keys_in_postgres(make):
    site = make(storage=f"{{backend: postgres, conninfo: '{make.postgres}'}}")
    site.add("registration: {open: true}\n")
    site.start()
    passwords = give_passwords(site)
    keep_canary(site)
    dump = subprocess.run(["pg_dump", "--dbname", make.postgres],
                          capture_output=True, check=True).stdout
    check_kept(dump, passwords)
    # Its files too, with the log of all that was written.
    check_kept(files_of(make.postgres_folder), passwords)
    assert not any(holds(files_of(site.folder), password)
                   for password in passwords)
    for name in ("benvolio", "rosaline", "canary"):
        site.command("deluser", f"{name}@{HOST}")


# --- the log ------------------------------------------------------------------


def talk(site, text):
    """What people say to each other, with that text in it all over."""
    romeo, juliet = site.login("romeo"), site.login("juliet")
    online(romeo)
    online(juliet)
    to = f"to='juliet@{HOST}'"
    romeo.send(f"<message type='chat' {to} id='m1'><subject>{text}</subject>"
               f"<body>{text}</body></message>")
    arrived = juliet.take(lambda event: event[0] == "element" and
                          event[1].get("id") == "m1")
    assert arrived is not None and text in client.show(arrived[1])
    romeo.send(f"<presence><status>{text}</status></presence>")
    romeo.send(f"<presence type='subscribe' {to}><status>{text}</status>"
               "</presence>")
    for what in (f"type='set'><query xmlns='jabber:iq:private'><a xmlns='b'>"
                 f"{text}</a></query>",
                 f"type='set'><vCard xmlns='vcard-temp'><FN>{text}</FN>"
                 "</vCard>",
                 f"type='get' {to}><query xmlns='urn:x'>{text}</query>",
                 f"type='dance'><query xmlns='urn:x'>{text}</query>"):
        romeo.send(f"<iq id='i1' {what}</iq>")
    juliet.close()
    romeo.send(f"<message {to}><body>{text}</body></message>")
    romeo.send(f"<message to='nobody@{HOST}'><body>{text}</body></message>")
    romeo.send(f"<message to='@@'><body>{text}</body></message>")
    ping(romeo, "p1")
    romeo.send(f"<message {to}><body>{text}</bdoy>")
    romeo.take(lambda event: event[0] == "eof")
    romeo.close()
    site.login("juliet").close()


def logs_what_is_said_at_wire_alone(make):
    site = make().start()
    site.adduser("romeo", "juliet")
    for level in ("error", "warn", "info", "debug"):
        site.command("log", level)
        talk(site, "so sweet a sorrow")
        assert "sorrow" not in site.said(), f"level {level} shows it"
    site.command("log", "wire")
    talk(site, "so sweet a sorrow")
    until("wire shows it", lambda: "sorrow" in site.said())


# --- certificates -------------------------------------------------------------


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shown_directly(site, name):
    """The certificate that port 5223 shows to who asks for that name."""
    with socket.create_connection(("127.0.0.1", site.tls_port)) as sock:
        with unverified().wrap_socket(sock, server_hostname=name) as tls:
            return tls.getpeercert(binary_form=True)


def shown_after_starttls(site, to, name):
    """What port 5222 shows on a stream to that host, with or without SNI."""
    stream = site.dialer().open([])
    client.start_stream(stream, to)
    stream.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    client.expect(stream, client.TLS + "proceed")
    stream.start_tls(unverified(), name)
    shown = stream.tls.getpeercert(binary_form=True)
    stream.close()
    return shown


def shows_each_host_its_certificate(make):
    site, other = make(), make()
    for kind in ("pem", "key"):
        shutil.copy(other.folder / f"localhost.{kind}",
                    site.folder / f"second.{kind}")
    site.change("  localhost: {}\n", f"  localhost: {{}}\n  {SECOND}: "
                "{certificate: second.pem, key: second.key}\n")
    site.start()
    first, second = (ssl.PEM_cert_to_DER_cert(each.folder.joinpath(
        "localhost.pem").read_text()) for each in (site, other))
    assert shown_directly(site, HOST) == first
    assert shown_directly(site, SECOND) == second
    assert shown_directly(site, None) == first
    for name in (None, "127.0.0.1"):
        assert shown_after_starttls(site, HOST, name) == first
        assert shown_after_starttls(site, SECOND, name) == second
    assert shown_after_starttls(site, SECOND, SECOND) == second


CASES = [
    asks_for_passwords_without_echo,
    who_gives_up_has_the_terminal_back,
    keeps_only_salted_keys,
    keeps_only_salted_keys_in_postgres,
    logs_what_is_said_at_wire_alone,
    shows_each_host_its_certificate,
]
