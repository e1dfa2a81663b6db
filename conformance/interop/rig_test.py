"""Tests of what clients are watched with: python3 -m unittest rig_test"""

import os
import socket
import threading
import unittest
from tempfile import TemporaryDirectory

from console import Console
from proxy import Proxy
from tail import Tail


class ProxyTest(unittest.TestCase):
    def test_nothing_of_it_waits_once_it_is_closed(self):
        before = threading.active_count()
        relay = Proxy(("127.0.0.1", 1))
        relay.close()
        self.assertEqual(threading.active_count(), before)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", relay.port))


class TailTest(unittest.TestCase):
    def test_lines_come_once_and_whole(self):
        with TemporaryDirectory() as folder:
            path = os.path.join(folder, "file")
            tail, steps = Tail(path), (
                ("", []), ("one\ntw", ["one"]), ("", []), ("o\n", ["two"]),
                ("\nthree\n", ["", "three"]), ("\u2019\n", ["\u2019"]))
            self.assertEqual(tail.news(), [])
            for written, lines in steps:
                with open(path, "a", encoding="utf-8") as file:
                    file.write(written)
                self.assertEqual(tail.news(), lines)


class ConsoleTest(unittest.TestCase):
    ONLINE = "04:09:40 - ++ juliet@localhost (x) is online"
    OFFLINE = "04:09:41 - -- juliet@localhost (x) is offline"
    WELCOME = "04:09:39 - Welcome to"
    CAME = ("presence", "juliet@localhost", "available")
    LEFT = ("presence", "juliet@localhost", "unavailable")

    def setUp(self):
        self.console = Console(8)

    def events(self, *lines, cursor=7, title=" Profanity.", typed=""):
        rows = [title, *lines, *[""] * (5 - len(lines)), " [04:09] -1-",
                typed, ""]
        return self.console.events(cursor, "\n".join(rows))

    def test_every_line_tells_once(self):
        self.assertEqual(self.events(self.WELCOME, self.ONLINE), [self.CAME])
        self.assertEqual(self.events(self.WELCOME, self.ONLINE), [])
        self.assertEqual(
            self.events(self.WELCOME, self.ONLINE, self.OFFLINE), [self.LEFT])

    def test_what_is_half_drawn_or_another_window_tells_nothing(self):
        half = self.ONLINE[:30]
        self.assertEqual(self.events(self.WELCOME, half, cursor=2), [])
        self.assertEqual(self.events(self.OFFLINE, title=" juliet@"), [])
        self.assertEqual(self.events(self.WELCOME, self.ONLINE), [self.CAME])

    def test_what_is_being_typed_is_no_line(self):
        self.assertEqual(self.events(self.WELCOME, typed="/connect me"), [])
        self.assertEqual(self.events(self.WELCOME, self.ONLINE), [self.CAME])


if __name__ == "__main__":
    unittest.main()
