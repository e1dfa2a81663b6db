"""Tests of the runner: python3 -m unittest runner.runner_test"""

import socket
import threading
import time
import unittest
import xml.etree.ElementTree as ET
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest import mock

from . import dns, pattern, peers, play, sasl, scene, secure
from .steps import Failed
from .stream import Reader, Stream
from .variables import Variables

CLIENT = "xmlns='jabber:client'"
# Pattern, stanza, whether they match.
MATCHES = (
    ("<message/>", f"<message {CLIENT} to='a'><body/></message>", True),
    ("<message/>", "<message to='a'/>", False),
    ("<message to='a'/>", f"<message {CLIENT} to='b'/>", False),
    ("<message to='{none}'/>", f"<message {CLIENT} to='b'/>", False),
    ("<message to='{none}'/>", f"<message {CLIENT}/>", True),
    ("<message to='a{any}'/>", f"<message {CLIENT} to='ab'/>", True),
    ("<message to='a{any}'/>", f"<message {CLIENT} to='a'/>", False),
    ("<message><body>x</body></message>",
     f"<message {CLIENT}><a/><body> x </body></message>", True),
    ("<message><body>{not}</body></message>",
     f"<message {CLIENT}><body>x</body></message>", False),
    ("<message><body>{not}</body></message>", f"<message {CLIENT}/>", True),
    ("<message><body/>{only}</message>",
     f"<message {CLIENT}><body/></message>", True),
    ("<message><body/>{only}</message>",
     f"<message {CLIENT}><body/><x/></message>", False),
    ("<message>{only}</message>", f"<message {CLIENT} id='1'/>", False),
    ("<message><x n='1'/><x n='2'/></message>",
     f"<message {CLIENT}><x n='2'/><x n='1'/></message>", True),
    ("<message><x n='1'/><x n='1'/></message>",
     f"<message {CLIENT}><x n='2'/><x n='1'/></message>", False),
    ("<delay stamp='{time}'/>", f"<delay {CLIENT} stamp='2026-01-02T03:04:05Z'/>",
     True),
    ("<delay stamp='{time}'/>", f"<delay {CLIENT} stamp='yesterday'/>", False),
)


class PatternTest(unittest.TestCase):
    def test_matches(self):
        for wanted, stanza, match in MATCHES:
            with self.subTest(wanted=wanted, stanza=stanza):
                text = Variables().expand_pattern(wanted)
                why = pattern.why_not(pattern.parse(text)[0],
                                      ET.fromstring(stanza), {})
                self.assertEqual(why is None, match, why)

    def test_captures(self):
        found = {}
        wanted = pattern.parse(Variables().expand_pattern(
            "<iq id='{any:id}'><jid>{any:jid}</jid></iq>"))[0]
        got = ET.fromstring(f"<iq {CLIENT} id='7'><jid>a@b</jid></iq>")
        self.assertIsNone(pattern.why_not(wanted, got, found))
        self.assertEqual(found, {"id": "7", "jid": "a@b"})


class VariablesTest(unittest.TestCase):
    def test_expand(self):
        variables = Variables()
        variables["romeo"] = "r<m@h"
        for text, wanted in (
                ("{romeo}/x", "r&lt;m@h/x"), ("{u+0041}{repeat:ab:3}",
                                              "Aababab"),
                ("{upper:{romeo}}", "R&LT;M@H"), ("{wide:a}", "\uff41"),
                ("{base64:\\0a\\0b}", "AGEAYg==")):
            self.assertEqual(variables.expand(text), wanted)

    def test_unknown(self):
        with self.assertRaises(scene.SceneError):
            Variables().expand("{nobody-knows}")


class SceneTest(unittest.TestCase):
    def load(self, text):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "x.scene"
            path.write_text(text, encoding="utf-8")
            return scene.load(path)

    def test_load(self):
        each = self.load("title: T\nproves: a/1 b_c/2\naccount: romeo host2\n"
                         "\n# why\nromeo/x sends:\n    <message\n"
                         "      to='a'>\n    </message>\n")
        self.assertEqual(each.proves, ["a/1", "b c/2"])
        self.assertEqual(each.accounts, {"romeo": "host2"})
        self.assertEqual(scene.join_xml(each.steps[0].block),
                         "<message to='a'></message>")
        each = self.load("title: T\npeer: a direct\npeer: b at a\nx\n")
        self.assertEqual(each.peers, {"a": ("direct", None), "b": ("", "a")})

    def test_refuse(self):
        for text in ("x connects\n", "title: T\n", "title: T\nneeds: luck\nx\n",
                     "title: T\n    <x/>\n", "title: T\nx sends:\n",
                     "title: T\npeer: a by night\nx\n",
                     "title: T\npeer: a at b\nx\n"):
            with self.assertRaises(scene.SceneError):
                self.load(text)


class ReaderTest(unittest.TestCase):
    def kinds(self, text):
        reader = Reader()
        reader.feed(text.encode())
        return [kind for kind, _ in reader.events]

    def test_events(self):
        head = f"<s:stream {CLIENT} xmlns:s='urn:s'>"
        self.assertEqual(self.kinds(f"{head}<message/> <iq/></s:stream>"),
                         ["stream", "element", "element", "close"])
        self.assertEqual(self.kinds(f"{head}<!--x-->"), ["stream", "broken"])
        self.assertEqual(self.kinds(f"{head}</iq>"), ["stream", "broken"])
        self.assertIn("broken", self.kinds(
            f"{head}<c:iq xmlns:c='jabber:client'/>"))

    def test_byte_order_mark(self):
        head = f"<s:stream {CLIENT} xmlns:s='urn:s'>"
        self.assertEqual(self.kinds(f"\ufeff{head}"), ["broken", "stream"])
        self.assertEqual(self.kinds(f"{head}<message>\ufeff</message>"),
                         ["stream", "element"])

    def test_negotiation(self):
        """No whitespace until its last element has come."""
        sasl_ns = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
        challenge, success = (f"<{name} {sasl_ns}/>"
                              for name in ("challenge", "success"))
        for text, kinds in (
                (f"{challenge}{success} ", ["element"] * 2),
                (f"{challenge} {success}", ["element", "broken", "element"])):
            reader = Reader()
            reader.feed(f"<s:stream {CLIENT} xmlns:s='urn:s'>".encode())
            reader.negotiates = True
            reader.feed(f"{text}<iq/>".encode())
            self.assertEqual([kind for kind, _ in reader.events],
                             ["stream", *kinds, "element"])

    def test_server(self):
        reader = Reader("jabber:server")
        reader.feed(b"<s:stream xmlns='jabber:server' xmlns:s='urn:s'>"
                    b"<message><x xmlns='jabber:client'/></message>"
                    b"<result xmlns='jabber:server:dialback'/>")
        _, message, broken, _ = reader.events
        self.assertEqual(message[1].tag, "{jabber:client}message")
        self.assertEqual(message[1][0].tag, "{not jabber:server}x")
        self.assertEqual(broken[0], "broken")


class StreamTest(unittest.TestCase):
    def setUp(self):
        ours, self.theirs = socket.socketpair()
        self.stream = Stream(ours, [], 60)

    def tearDown(self):
        self.stream.close()
        self.theirs.close()

    def test_who_reads_late_gets_all(self):
        """Also after a look that waited for nothing."""
        read = []

        def read_late():
            time.sleep(0.2)
            while piece := self.theirs.recv(65536):
                read.append(len(piece))
        reader = threading.Thread(target=read_late)
        reader.start()
        self.theirs.sendall(b" ")
        self.stream.pump(0)
        self.stream.send("x" * 8000000)
        self.stream.sock.shutdown(socket.SHUT_WR)
        reader.join()
        self.assertEqual(sum(read), 8000000)

    def test_what_came_while_nobody_ran_is_seen(self):
        for look in (lambda: self.stream.next(1),
                     lambda: self.stream.take(lambda event: True, 1)):
            self.stream.reader.restart()
            self.theirs.sendall(f"<s:stream {CLIENT} xmlns:s='urn:s'>"
                                .encode())
            with mock.patch("time.monotonic", side_effect=[0, 100]):
                self.assertEqual(look()[0], "stream")

    def test_nothing_is_nothing(self):
        self.assertIsNone(self.stream.next(0))
        self.assertIsNone(self.stream.next(0.01))
        self.assertIsNone(self.stream.take(lambda event: True, 0.01))


class SettleTest(unittest.TestCase):
    @staticmethod
    def waits(pings, overslept=0.0):
        """How long it sleeps where its rounds of pings take so long."""
        player = mock.Mock(
            peers={}, options=SimpleNamespace(
                settle=0.1, quiet=0.4, timeout=60),
            fence_all=mock.Mock(side_effect=pings))
        player.stream.return_value.pump.return_value = False
        clock, slept = [0], []

        def sleep(seconds):
            slept.append(round(seconds, 3))
            clock[0] += seconds + (overslept if len(slept) == 1 else 0)
        with mock.patch("time.sleep", sleep), \
                mock.patch("time.monotonic", lambda: clock[0]):
            play.Player.settle(player, "romeo/orchard")
        return slept

    def test_it_waits_longer_where_pings_take_long(self):
        self.assertEqual(self.waits([0.01, 0.01]), [0.1])
        self.assertEqual(self.waits([0.2, 0.2]), [0.8])
        self.assertEqual(self.waits([0.01, 3, 0.01]), [0.1, 3])
        self.assertEqual(self.waits([0.01, 0.01, 0.01], overslept=2),
                         [0.1, 2])
        self.assertEqual(self.waits([30, 0.01]), [60])


class RetriesTest(unittest.TestCase):
    FAILURE = ET.XML("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                     "<not-authorized/></failure>")
    ERROR = ET.Element(secure.STREAM_ERROR)

    def test_the_end_may_come_late(self):
        """When the next attempt was made already."""
        stream = mock.Mock(queue=deque())
        driver = mock.Mock(condition_of=secure.Secure.condition_of)
        driver.stream.return_value = stream
        driver.attempt.side_effect = [
            (each, None) for each in (*[self.FAILURE] * 3, self.ERROR)]
        secure.Secure.runs_out(driver, "conn", "romeo", "PLAIN", "x")
        driver.receives_stream_error.assert_called_once_with("conn", "x")
        self.assertEqual(list(stream.queue), [("element", self.ERROR)])
        driver.attempt.side_effect = [(self.ERROR, None)]
        stream.queue.clear()
        with self.assertRaises(Failed):
            secure.Secure.runs_out(driver, "conn", "romeo", "PLAIN", "x")


class ScramTest(unittest.TestCase):
    def test_example_of_rfc_5802(self):
        with mock.patch("secrets.token_urlsafe",
                        return_value="fyko+d2lbbFgONRv9qkxdawL"):
            state = sasl.Scram("SCRAM-SHA-1", "user", "pencil", None, None)
        self.assertEqual(state.first, b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL")
        nonce = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"
        answer = state.answer(f"r={nonce},s=QSXCR+Q6sek8bf92,i=4096".encode())
        self.assertEqual(answer.decode(), f"c=biws,r={nonce},"
                         "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")
        state.verify(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")
        with self.assertRaises(sasl.SaslError):
            sasl.Scram("SCRAM-SHA-1", "u", "p", None, None).verify(b"v=AAAA")


class DnsTest(unittest.TestCase):
    def setUp(self):
        with mock.patch("threading.Thread.start"):
            self.responder = dns.Responder(("127.0.0.1", 0))
        self.responder.add("_xmpp-server._tcp.a.example",
                           dns.service(10, 5269, "x.a.example"))
        self.responder.add("x.a.example", dns.address("127.0.0.9"))
        self.responder.silence("b.example")

    def tearDown(self):
        self.responder.sock.close()

    def ask(self, name, kind):
        """The code and the count of answers, and the whole."""
        packet = b"\1\2\1\0\0\1\0\0\0\0\0\0" + dns.encode_name(name) + \
            kind.to_bytes(2, "big") + b"\0\1"
        answer = self.responder.answer(packet)
        return answer and (answer[3] & 15, answer[7], answer)

    def test_answers(self):
        code, count, whole = self.ask("X.a.Example", dns.A)
        self.assertEqual((code, count), (0, 1))
        self.assertTrue(whole.endswith(b"\x7f\0\0\x09"))
        code, count, whole = self.ask("_xmpp-server._tcp.a.example", dns.SRV)
        self.assertEqual((code, count), (0, 1))
        self.assertTrue(whole.endswith(b"\x14\x95" +
                                       dns.encode_name("x.a.example")))

    def test_what_is_not_there(self):
        self.assertEqual(self.ask("x.a.example", dns.SRV)[:2], (0, 0))
        self.assertEqual(self.ask("a.example", dns.A)[:2], (0, 0))
        self.assertEqual(self.ask("c.example", dns.A)[:2], (3, 0))
        self.assertIsNone(self.ask("_x._tcp.b.example", dns.SRV))

    def test_names_may_be_added_meanwhile(self):
        class Name(str):
            """While it is looked at another scene begins."""

            def endswith(_self, _tail):
                self.responder.add(f"{len(self.responder.records)}.example")
                return False

        self.responder.add(Name("d.example"))
        self.assertEqual(self.ask("c.example", dns.A)[:2], (3, 0))


class PeerTest(unittest.TestCase):
    """README.md's table of how peers are found."""

    # Priorities and whether somebody listens there, of both kinds of SRV; None
    # where there is no target. Then whether the domain has an address.
    WAYS = {
        "": ([(10, True)], [], False),
        "idn": ([(10, True)], [], False),
        "direct": ([], [(5, True)], False),
        "both": ([(10, True)], [(5, True)], False),
        "second": ([(5, False), (10, True)], [], False),
        "no-direct": ([(10, True)], [None], False),
        "refused": ([None], [None], True),
        "address": ([], [], True),
        "unreachable": ([(5, False)], [], True),
        "no-service": ([], [], True),
        "unknown": ([], [], False),
        "silent": ([], [], False),
    }

    @staticmethod
    def services(records, peer, listener):
        """SRV records of the dictionary, as above."""
        found = []
        for _kind, data in records:
            priority, port = (int.from_bytes(data[at:at + 2], "big")
                              for at in (0, 4))
            target = dns.encode_name(f"xmpp.{peer.ascii}")
            assert data[6:] in (target, b"\0"), data
            found.append(None if data[6:] == b"\0" else (
                priority, listener is not None and
                listener.getsockname()[1] == port))
        return found

    def test_ways(self):
        self.assertEqual(set(self.WAYS), set(scene.WAYS))
        for how, (plain, direct, has_address) in self.WAYS.items():
            with self.subTest(how=how):
                self.check(how, plain, direct, has_address)

    def check(self, how, plain, direct, has_address):
        with mock.patch("threading.Thread.start"):
            responder = dns.Responder(("127.0.0.1", 0))
        options = mock.Mock(srv_only=False)
        peer = peers.Peer(mock.Mock(dns=responder, options=options), "p", how)
        try:
            name = f"_tcp.{peer.ascii}"
            self.assertEqual(peer.ascii != peer.domain, how == "idn")
            told = [self.services(responder.records.get(
                f"{service}.{name}", ()), peer, listener)
                for service, listener in (("_xmpp-server", peer.plain),
                                          ("_xmpps-server", peer.direct))]
            self.assertEqual(told, [plain, direct])
            self.assertEqual(peer.ascii in responder.records, has_address)
            self.assertEqual(peer.ascii in responder.silent, how == "silent")
            is_usual = peer.plain is not None and \
                peer.plain.getsockname()[1] == peers.SERVER_PORT
            self.assertEqual(is_usual, how in ("address", "unreachable"))
        finally:
            peer.close()
            responder.sock.close()


class DialbackTest(unittest.TestCase):
    def test_example_of_xep_0185(self):
        self.assertEqual(
            peers.key_of("s3cr3tf0rd14lb4ck", "xmpp.example.com",
                         "example.org", "D60000229F"),
            "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643")


if __name__ == "__main__":
    unittest.main()
