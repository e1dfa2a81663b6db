"""A DNS server that is right now and then."""

import asyncio
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from runner.dns import (  # noqa: E402  (needs the path above)
    SRV, A, address, encode_name, read_question, record, service)

CNAME, AAAA, TLSA = 5, 28, 52
ANSWER = 0x8180  # QR RD RA
TRUNCATED = 0x0200
FAILURES = (2, 3, 5)  # SERVFAIL, NXDOMAIN, REFUSED


class Names(asyncio.DatagramProtocol):
    """For a site: what it asks is where the other one's hosts are."""

    def __init__(self, dice, site):
        self.dice, self.site = dice, site
        self.transport = self.port = None

    async def start(self):
        self.transport, _ = await asyncio.get_running_loop() \
            .create_datagram_endpoint(lambda: self,
                                      local_addr=("127.0.0.1", 0))
        self.port = self.transport.get_extra_info("sockname")[1]

    def close(self):
        if self.transport is not None:
            self.transport.close()

    def truth(self, name, kind):
        ports = self.site.other.ports
        if kind == SRV:
            port = ports["s2s_tls" if name.startswith("_xmpps") else "s2s"]
            return [service(1, port, name.split(".", 2)[2])]
        if kind == A:
            return [address("127.0.0.1")]
        return []

    def lie(self, name, kind):
        dice = self.dice
        anywhere = [service(dice.randrange(3), dice.randrange(65536),
                            dice.choice((".", name, "x." + name, "a..b")))
                    for _ in range(dice.choice((1, 5, 60)))]
        return dice.choice((
            [], anywhere, [(kind, os.urandom(dice.randrange(40)))],
            [(CNAME, encode_name(name))],
            [(CNAME, encode_name("x" + name[:200]))],
            [(AAAA, socket.inet_pton(socket.AF_INET6, "::1"))],
            [(TLSA, os.urandom(35))], [address("127.0.0.1")] * 20))

    def answer(self, packet):
        dice = self.dice
        name, kind, end = read_question(packet)
        flags = ANSWER
        if dice.random() < 0.5:
            found = self.truth(name, kind)
        else:
            found = self.lie(name, kind)
            flags |= dice.choice((0, 0, TRUNCATED, *FAILURES))
        text = packet[:2] + struct.pack(
            "!HHHHH", flags, 1, len(found), 0, 0) + packet[12:end] + \
            b"".join(record(name, *each) for each in found)
        if dice.random() < 0.1:
            text = text[:dice.randrange(len(text))]
        return text

    def datagram_received(self, data, addr):
        if self.dice.random() < 0.9:
            self.transport.sendto(self.answer(data), addr)
