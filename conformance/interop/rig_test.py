"""Tests of what clients are watched with: python3 -m unittest rig_test"""

import socket
import threading
import unittest

from proxy import Proxy


class ProxyTest(unittest.TestCase):
    def test_nothing_of_it_waits_once_it_is_closed(self):
        before = threading.active_count()
        relay = Proxy(("127.0.0.1", 1))
        relay.close()
        self.assertEqual(threading.active_count(), before)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", relay.port))


if __name__ == "__main__":
    unittest.main()
