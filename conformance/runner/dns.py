"""A tiny authoritative DNS server for the domains of scripted peers."""

import socket
import struct
import threading

ZONE = "peers.example"
A, SOA, SRV, ANY_CLASS = 1, 6, 33, 1
ANSWER, NO_SUCH_NAME = 0x8580, 0x8583  # QR AA RD RA, and the code
TTL_S = 1


def encode_name(name):
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(each)]) + each for each in labels) + b"\0"


def in_ascii(name):
    """With A-labels (RFC 5890), as DNS, TLS and certificates have it."""
    return name.encode("idna").decode()


def read_question(packet):
    """Its name in lower case, its type, and where it ends."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
        at += 1 + packet[at]
    kind, _class = struct.unpack_from("!HH", packet, at + 1)
    return ".".join(labels).lower(), kind, at + 5


def record(name, kind, data):
    return encode_name(name) + struct.pack("!HHIH", kind, ANY_CLASS, TTL_S,
                                           len(data)) + data


def address(text):
    return A, socket.inet_aton(text)


def service(priority, port, target):
    return SRV, struct.pack("!HHH", priority, 1, port) + encode_name(target)


class Responder:
    """Answers on UDP. What `add` never named does not exist; names that
    `silence` got are not answered at all."""

    def __init__(self, where):
        self.records, self.silent = {}, set()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(where)
        threading.Thread(target=self.serve, daemon=True).start()

    def add(self, name, *records):
        """Pairs of type and data; none at all: the name exists."""
        self.records.setdefault(name, []).extend(records)

    def silence(self, domain):
        self.silent.add(domain)

    def serve(self):
        while True:
            packet, asker = self.sock.recvfrom(4096)
            try:
                answer = self.answer(packet)
            except (IndexError, struct.error):
                continue
            if answer is not None:
                self.sock.sendto(answer, asker)

    def exists(self, name):
        # Scenes in other threads add to both meanwhile.
        return name in self.records or any(
            other.endswith("." + name) for other in list(self.records))

    def answer(self, packet):
        name, kind, end = read_question(packet)
        if any(("." + name).endswith("." + each)
               for each in list(self.silent)):
            return None
        found = [record(name, each, data) for each, data
                 in self.records.get(name, ()) if each == kind]
        authority = [] if found else [record(
            ZONE, SOA, encode_name(ZONE) * 2 +
            struct.pack("!IIIII", 1, TTL_S, TTL_S, TTL_S, TTL_S))]
        flags = ANSWER if self.exists(name) else NO_SUCH_NAME
        return packet[:2] + struct.pack("!HHHHH", flags, 1, len(found),
                                        len(authority), 0) + \
            packet[12:end] + b"".join(found + authority)
