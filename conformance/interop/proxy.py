"""A TCP relay between client and server, to cut their connection."""

import contextlib
import socket
import struct
import threading
import time

from inbox import Missing

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    def __init__(self, server):
        self.server, self.pairs = server, []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

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
        with self.lock:
            self.pairs.append((client, server))
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=self.relay, daemon=True,
                             args=(source, target, (client, server))).start()

    def relay(self, source, target, pair):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        with self.lock, contextlib.suppress(ValueError):
            self.pairs.remove(pair)

    def wait(self, connected, timeout=60):
        """Until a connection runs through it, or none does."""
        deadline = time.monotonic() + timeout
        while bool(self.pairs) != connected:
            if time.monotonic() > deadline:
                raise Missing("the client did not " + (
                    "connect" if connected else "disconnect"))
            time.sleep(0.05)

    def cut(self):
        """Both sides see their connection reset."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   RESET_ON_CLOSE)
                    # Wakes the relaying thread, whose recv would otherwise
                    # keep the socket open.
                    end.shutdown(socket.SHUT_RD)
                    end.close()

    def close(self):
        self.listener.close()
        self.cut()
