"""What lies between two servers, and breaks."""

import asyncio

CHUNK = 1 << 16


class Link:
    """Takes connections at its port to another one's, as long as it likes."""

    def __init__(self, target):
        self.target = target
        self.server = self.port = None
        self.writers = set()
        self.is_open, self.flows = True, asyncio.Event()
        self.flows.set()

    async def start(self):
        self.server = await asyncio.start_server(self.take, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def take(self, reader, writer):
        if not self.is_open:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, there[1]}
        self.writers |= ends
        try:
            await asyncio.gather(self.carry(reader, there[1]),
                                 self.carry(there[0], writer))
        except OSError:
            pass
        finally:
            self.writers -= ends
            for end in ends:
                end.transport.abort()

    async def carry(self, reader, writer):
        while True:
            came = await reader.read(CHUNK)
            await self.flows.wait()
            if not came:
                break
            writer.write(came)
            await writer.drain()
        writer.write_eof()

    # --- how it breaks ----------------------------------------------------

    def cut(self):
        """Every connection, and what is on its way."""
        for writer in list(self.writers):
            writer.transport.abort()

    async def stall(self, seconds):
        """What is sent meanwhile comes late, or never if it is cut."""
        self.flows.clear()
        await asyncio.sleep(seconds)
        self.flows.set()

    async def refuse(self, seconds):
        self.is_open = False
        self.cut()
        await asyncio.sleep(seconds)
        self.is_open = True

    def close(self):
        self.flows.set()
        self.cut()
        if self.server is not None:
            self.server.close()
