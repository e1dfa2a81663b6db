#!/usr/bin/python3
"""Ports of the loopback for servers: etc/check/ports.py [COUNT] prints two that
are free, or so many.

They are none of those that the system hands out by itself (ip(7),
ip_local_port_range). Otherwise, until a server has taken its port or while it
starts again, a connection of somebody else could have it, or one to it could
meet itself.
"""

import errno
import random
import socket
import sys

HANDED_OUT = "/proc/sys/net/ipv4/ip_local_port_range"
LOWEST, HIGHEST = 10000, 65535


def candidates():
    with open(HANDED_OUT, encoding="ascii") as file:
        first, last = map(int, file.read().split())
    there = range(LOWEST, HIGHEST + 1)
    return [port for port in there if not first <= port <= last] or there


def is_free(port):
    """For TCP and UDP, of both families as far as there are both."""
    for family, address in ((socket.AF_INET, "127.0.0.1"),
                            (socket.AF_INET6, "::1")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                with socket.socket(family, kind) as trial:
                    trial.bind((address, port))
            except OSError as err:
                if err.errno == errno.EADDRINUSE:
                    return False
    return True


def free_ports(count=2):
    found = []
    for port in random.SystemRandom().sample(candidates(), len(candidates())):
        if len(found) == count:
            break
        if is_free(port):
            found.append(port)
    return found


if __name__ == "__main__":
    print(*free_ports(*map(int, sys.argv[1:])))
