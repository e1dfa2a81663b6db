"""Tests of ports.py: python3 -m unittest ports_test"""

import socket
import unittest
from unittest import mock

import ports


class PortsTest(unittest.TestCase):
    def test_nobody_is_given_them(self):
        with open(ports.HANDED_OUT, encoding="ascii") as file:
            first, last = map(int, file.read().split())
        found = ports.free_ports(200)
        self.assertEqual(len(set(found)), 200)
        if first > ports.LOWEST:
            self.assertFalse([port for port in found if first <= port <= last])

    def test_what_is_taken_is_left(self):
        there = ports.free_ports(2)
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            for taken in there:
                with socket.socket(socket.AF_INET, kind) as sock, \
                        mock.patch("ports.candidates", lambda: there):
                    sock.bind(("127.0.0.1", taken))
                    self.assertEqual(ports.free_ports(2),
                                     [each for each in there if each != taken])


if __name__ == "__main__":
    unittest.main()
