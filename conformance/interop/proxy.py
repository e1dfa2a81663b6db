"""A TCP relay between client and server, to cut their connection."""

import contextlib
import socket
import struct
import threading
import time

from inbox import Missing

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Pair:
    """One connection through the relay."""

    def __init__(self, client, server):
        self.ends, self.is_cut = (client, server), False
        self.threads = [
            threading.Thread(target=self.relay, args=ends, daemon=True)
            for ends in ((client, server), (server, client))]

    def relay(self, source, target):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)
            if not self.is_cut:
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
        self.server, self.pairs = server, []
        self.made = self.was_cut = 0  # connections
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
            return
        pair = Pair(client, server)
        # Before bytes pass: who sees some may cut it.
        self.pairs.append(pair)
        self.made += 1
        for thread in pair.threads:
            thread.start()

    def wait(self, connected, timeout=60):
        """Until a connection runs through it, or none does."""
        deadline = time.monotonic() + timeout
        while any(pair.is_open() for pair in self.pairs) != connected:
            if time.monotonic() > deadline:
                raise Missing(
                    "the client did not " +
                    ("connect" if connected else "disconnect") +
                    f"; {self.made} connections were made, {self.was_cut} cut")
            time.sleep(0.05)

    def cut(self):
        """There must be something to cut."""
        self.wait(connected=True)
        self.end()

    def end(self):
        pairs, self.pairs = self.pairs, []
        self.was_cut += sum(pair.is_open() for pair in pairs)
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
