"""A TCP relay between client and server, to cut their connection."""

import contextlib
import socket
import struct
import threading
import time

from inbox import PATIENCE_S, Missing, Story

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Pair:
    """One connection through the relay; tell(what) when it ends."""

    def __init__(self, client, server, tell):
        self.ends, self.is_cut, self.tell = (client, server), False, tell
        self.threads = [
            threading.Thread(target=self.relay, args=ends, daemon=True)
            for ends in ((client, server, "client"),
                         (server, client, "server"))]

    def relay(self, source, target, name):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)
            if not self.is_cut:
                self.tell(f"ended by the {name}")
                target.shutdown(socket.SHUT_WR)

    def is_open(self):
        return all(thread.is_alive() for thread in self.threads)

    def cut(self):
        """Both sides see a reset, and have seen it when this returns: the
        threads must let go of the sockets first."""
        self.is_cut = True
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RD)
        for thread in self.threads:
            if thread.is_alive():
                thread.join()
        for end in self.ends:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                           RESET_ON_CLOSE)
            end.close()


class Proxy:
    def __init__(self, server):
        self.server, self.pairs, self.story = server, [], Story()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.join(client)

    def join(self, client):
        try:
            server = socket.create_connection(self.server)
        except OSError:
            client.close()
            self.story.tell("the server refused a connection")
            return
        self.story.tell("connection made")
        pair = Pair(client, server, self.story.tell)
        # Before bytes pass: who sees some may cut it.
        self.pairs.append(pair)
        for thread in pair.threads:
            thread.start()

    def wait(self, connected, timeout=PATIENCE_S):
        """Until a connection runs through it, or none does."""
        deadline = time.monotonic() + timeout
        while any(pair.is_open() for pair in self.pairs) != connected:
            if time.monotonic() > deadline:
                raise Missing("the client did not " + (
                    "connect" if connected else "disconnect"))
            time.sleep(0.05)

    def cut(self):
        """There must be something to cut."""
        self.wait(connected=True)
        self.story.tell("cut")
        self.end()

    def end(self):
        pairs, self.pairs = self.pairs, []
        for pair in pairs:
            pair.cut()

    def close(self):
        """Its thread must let go of the socket first: an accept that a signal
        interrupts begins again with the same number, which by then may be
        that of the next relay's socket."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        self.listener.close()
        self.end()
