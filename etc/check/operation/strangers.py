"""What who is not authenticated can make the program hold."""

import socket
import ssl
import time
from pathlib import Path

from discretion import shown_directly, unverified
from site_ import HOST, PATIENCE_S

HEADER = (f"<stream:stream to='{HOST}' version='1.0' xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams'>")
IQ = HEADER + "<iq type='set' id='r'>"
# The beginning of a TLS handshake, and what may follow one or come before
# STARTTLS, never finished: as much as is taken of a stranger.
HELLO = b"\x16\x03\x01\x40\x00\x01" + b"x" * 16000
UNFINISHED = (
    "",
    HEADER[:-1] + " a='" + "x" * 9000,
    HEADER + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + "x" * 10000,
    IQ + "<a/>x" * 120,
    IQ + "<a xmlns='b'>" * 60 + "x" * 9000,
    IQ + "<a " + " ".join(f"a{i}=''" for i in range(60)) + "><b " +
    " ".join(f"b{i}=''" for i in range(60)) + ">" + "x" * 9000,
)
PLAIN = UNFINISHED[1:2] + (
    HEADER + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>" +
    "x" * 10000,
) + UNFINISHED[3:]
STRANGERS = 300
STRANGER_KIB = 96
STRANGER_S = 8
FLOOD_KIB = 1024


def strange(site, text, is_plain=False):
    """A connection that holds what it can."""
    port = site.port if is_plain else site.tls_port
    sock = socket.create_connection(("127.0.0.1", port))
    if is_plain:
        sock.sendall(text.encode())
        return sock
    if not text:
        sock.sendall(HELLO)
        return sock
    sock = unverified().wrap_socket(sock, server_hostname=HOST)
    sock.sendall(text.encode())
    return sock


def memory_kib(site):
    status = Path(f"/proc/{site.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def await_end(sock):
    sock.settimeout(PATIENCE_S)
    try:
        while sock.recv(65536):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    sock.close()


def crowd_costs_little(make, number, text, is_plain):
    site = make()
    site.add("limits: {handshakes: 1000, "
             f"auth_time: {STRANGER_S} s}}\n")
    site.start()
    shown_directly(site, HOST)
    before = memory_kib(site)
    crowd = [strange(site, text, is_plain) for _ in range(STRANGERS)]
    began = time.monotonic()
    time.sleep(0.5)
    each = (memory_kib(site) - before) / STRANGERS
    assert each <= STRANGER_KIB, f"{number}: {each:.0f} KiB of each"
    if number < 2:
        for sock in crowd:
            await_end(sock)
        assert time.monotonic() - began < STRANGER_S + PATIENCE_S
        assert "not authenticated in time" in site.said()
    site.end()


def strangers_cost_little(make):
    for number, text in enumerate(UNFINISHED):
        crowd_costs_little(make, number, text, is_plain=False)
    for number, text in enumerate(PLAIN):
        crowd_costs_little(make, number, text, is_plain=True)


def flood(site, begun, text):
    """That text again and again until the server ends the connection; the
    memory that this took."""
    before = most = memory_kib(site)
    with socket.create_connection(("127.0.0.1", site.port)) as sock:
        sock.settimeout(PATIENCE_S)
        sock.sendall((HEADER + begun).encode())
        end = time.monotonic() + PATIENCE_S
        try:
            while time.monotonic() < end:
                sock.sendall(text)
                most = max(most, memory_kib(site))
                time.sleep(0.01)
        except ConnectionError:
            return most - before
    raise AssertionError(f"{begun}{text[:10]}: is heard without an end")


def ends_what_floods_it_before_tls(make):
    """Without an end, on 5222: in an element, in its name, in many."""
    site = make()
    site.add("limits: {auth_time: 3 s}\n")
    site.start()
    for begun, text in (("<a b='", "x"), ("<a>", "x"), ("<a>", "<b>"),
                        ("<a>", "<b/>"), ("<", "x"), ("<a ", " b{}=''"),
                        ("", "<iq type='set'/>"), ("", " ")):
        part = "".join(text.format(i) for i in range(4000)).encode()
        took = flood(site, begun, part)
        assert took < FLOOD_KIB, f"{begun}{text}: {took} KiB"
    shown_directly(site, HOST)


def one_address_keeps_nobody_out(make):
    """Whatever it begins and does not go on with: else somebody waits until
    its handshakes have taken too long, 10 s."""
    site = make()
    site.add("limits: {handshakes: 8}\n")
    site.start()
    crowd = [socket.create_connection(("127.0.0.1", site.tls_port),
                                      source_address=("127.0.0.2", 0))
             for _ in range(200)]
    for sock in crowd:
        sock.sendall(HELLO[:100])
    time.sleep(0.5)
    began = time.monotonic()
    for _ in range(5):
        shown_directly(site, HOST)
    assert time.monotonic() - began < 9
    for sock in crowd:
        sock.close()


CASES = [
    strangers_cost_little,
    one_address_keeps_nobody_out,
    ends_what_floods_it_before_tls,
]
