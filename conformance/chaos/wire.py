"""A connection on which nothing is expected to be right."""

import asyncio

PATIENCE_S = 8
STREAMS = "http://etherx.jabber.org/streams"
TROUBLE = (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError,
           EOFError)


class Wire:
    """With "async with": it is cut off at the end."""

    def __init__(self, port, **how):
        self.port, self.how = port, how
        self.reader = self.writer = None

    async def __aenter__(self):
        async with asyncio.timeout(PATIENCE_S):
            self.reader, self.writer = await asyncio.open_connection(
                "127.0.0.1", self.port, **self.how)
        return self

    async def __aexit__(self, *_):
        self.writer.transport.abort()

    def say(self, text):
        self.writer.write(text.encode())

    def open(self, content, to):
        self.say(f"<stream:stream to='{to}' version='1.0' xmlns='{content}' "
                 f"xmlns:stream='{STREAMS}' "
                 "xmlns:db='jabber:server:dialback'>")

    async def hear(self, seconds):
        """What came within that time; maybe nothing."""
        try:
            async with asyncio.timeout(seconds):
                came = await self.reader.read(1 << 16)
        except TimeoutError:
            return ""
        if not came:
            raise EOFError
        return came.decode(errors="replace")

    async def until(self, *parts):
        """All up to one of these; what ends the stream ends it."""
        came = ""
        async with asyncio.timeout(PATIENCE_S):
            while not any(part in came for part in parts):
                came += await self.hear(PATIENCE_S)
        if "<stream:error" in came:
            raise EOFError
        return came


def between(text, start, end):
    return text.partition(start)[2].partition(end)[0]
