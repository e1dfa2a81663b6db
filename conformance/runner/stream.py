"""One connection to the server: TCP, TLS, and the elements that arrive."""

import codecs
import os
import select
import socket
import ssl
import time
import xml.etree.ElementTree as ET
import xml.parsers.expat
from collections import deque

STREAMS = "http://etherx.jabber.org/streams"
CLIENT = "jabber:client"
DIALBACK = "jabber:server:dialback"
NEGOTIATED = {"urn:ietf:params:xml:ns:xmpp-tls}proceed",
              "urn:ietf:params:xml:ns:xmpp-sasl}success",
              "urn:ietf:params:xml:ns:xmpp-sasl}failure"}
HEAD = ("<?xml version='1.0'?><stream:stream to='{to}' version='1.0' "
        f"xml:lang='en' xmlns='{CLIENT}' xmlns:stream='{STREAMS}'>")


def qname(name, content=CLIENT):
    """expat's 'ns}local}prefix' as ElementTree's '{ns}local'. What belongs
    to the stream's content namespace is shown as if that were a client's."""
    parts = name.split("}")
    if len(parts) == 1:
        return name
    if content != CLIENT and parts[0] in (content, CLIENT):
        parts[0] = CLIENT if parts[0] == content else f"not {content}"
    return "{" + "}".join(parts[:2])


class Reader:
    """Bytes in; events out: ('stream', e), ('element', e), ('close', None),
    ('broken', why)."""

    def __init__(self, content=CLIENT):
        self.content = content
        self.events = deque()
        self.restart()

    def restart(self):
        parser = xml.parsers.expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.namespace_prefixes = True
        parser.StartElementHandler = self.on_start
        parser.EndElementHandler = self.on_end
        parser.CharacterDataHandler = self.on_text
        # RFC 6120 section 11.1 forbids these to whoever sends.
        parser.CommentHandler = lambda _text: self.refuse("a comment")
        parser.ProcessingInstructionHandler = \
            lambda _target, _text: self.refuse("a processing instruction")
        parser.StartDoctypeDeclHandler = lambda *_: self.refuse("a DTD")
        parser.XmlDeclHandler = self.on_declaration
        self.parser, self.depth, self.builder = parser, 0, None
        self.declared = self.begun = self.negotiates = False
        self.held = b""

    def feed(self, data):
        # expat puts off a tag that comes in pieces, so give it whole tags.
        data = self.held + data
        end = data.rfind(b">") + 1
        self.held = data[end:]
        if end and not self.begun and data.startswith(codecs.BOM_UTF8):
            # RFC 6120 section 11.6 forbids it to whoever sends.
            self.refuse("a byte order mark")
        self.begun = self.begun or end > 0
        try:
            self.parser.Parse(data[:end], False)
        except xml.parsers.expat.ExpatError as err:
            self.events.append(("broken", str(err)))

    def refuse(self, what):
        self.events.append(("broken", what))

    def on_declaration(self, _version, _encoding, standalone):
        self.declared = True
        if standalone != -1:
            self.refuse("a standalone declaration")

    def on_start(self, name, attributes):
        attributes = {qname(key): value for key, value in attributes.items()}
        self.depth += 1
        prefixed = name.count("}") > 1
        if name.startswith(self.content + "}") and prefixed:
            # RFC 6120 section 4.8.5 forbids it to whoever sends.
            self.refuse(f"a prefix for {self.content}")
        if name.startswith(DIALBACK + "}") and not prefixed:
            # XEP-0220 section 2 forbids it to whoever sends.
            self.refuse("a dialback element without prefix")
        if self.depth == 1:
            header = ET.Element(qname(name), attributes)
            self.events.append(("stream", header))
            return
        if self.depth == 2:
            self.builder = ET.TreeBuilder()
        self.builder.start(qname(name, self.content), attributes)

    def on_end(self, name):
        self.depth -= 1
        if self.depth == 0:
            self.events.append(("close", None))
            return
        self.builder.end(qname(name, self.content))
        if self.depth == 1:
            self.events.append(("element", self.builder.close()))
            self.builder = None
            self.negotiates = self.negotiates and name not in NEGOTIATED

    def on_text(self, text):
        if self.builder is not None:
            self.builder.data(text)
        elif self.negotiates:
            # RFC 6120 sections 5.3.3 and 6.3.5 forbid it to whoever sends.
            self.refuse("whitespace in a negotiation")


class Stream:
    """A client's end. `log` is a list that gets every piece sent or read."""

    content = CLIENT

    def __init__(self, sock, log, timeout):
        self.sock = sock
        self.reader = Reader(self.content)
        self.queue = deque()
        self.log, self.timeout = log, timeout
        self.tls = None
        self.context = None  # of TLS, unless a client's usual one
        self.ended = False
        self.ragged = False  # TLS ended without close_notify
        self.midway = False  # a part of an element was sent
        self.header = None
        self.features = None
        self.jid = None
        self.fences = 0

    @classmethod
    def dial(cls, address, log, timeout, *more):
        sock = socket.create_connection(address, timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock, log, timeout, *more)

    @property
    def id(self):
        return "" if self.header is None else self.header.get("id")

    def start_tls(self, context, name, session=None):
        self.sock.settimeout(self.timeout)
        self.sock = context.wrap_socket(self.sock, server_hostname=name,
                                        suppress_ragged_eofs=False,
                                        session=session)
        self.tls = self.sock
        self.reader.restart()

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        self.log.append(("sent", data))
        if data.startswith((b"<starttls ", b"<auth ")):
            self.reader.negotiates = True
        self.midway = not data.rstrip().endswith(b">") and data.strip() != b""
        try:
            # Not that of the last look for what came.
            self.sock.settimeout(self.timeout)
            self.sock.sendall(data)
        except OSError as err:
            self.log.append(("cannot send", str(err).encode()))

    def start_stream(self, to):
        """Sends a new stream header; what comes is parsed as a new stream."""
        self.reader.restart()
        self.send(HEAD.format(to=to))

    def pump(self, seconds):
        """Reads once what comes within that time. False if nothing did."""
        if self.ended:
            return False
        pending = self.tls is not None and self.tls.pending()
        if not pending and not select.select([self.sock], [], [],
                                             max(seconds, 0))[0]:
            return False
        try:
            self.sock.settimeout(max(seconds, 0.01))
            data = self.sock.recv(65536)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except TimeoutError:  # TLS had something to say, the peer had not
            return False
        except OSError as err:
            self.log.append(("ended", str(err).encode()))
            self.ragged = True
            data = b""
        if not data:
            self.ended = True
            self.queue.append(("eof", None))
            return True
        self.log.append(("read", data))
        self.reader.feed(data)
        self.queue.extend(self.reader.events)
        self.reader.events.clear()
        return True

    def next(self, seconds=None):
        """The next event, or None after that time."""
        left = self.timeout if seconds is None else seconds
        deadline = time.monotonic() + left
        while not self.queue and left > 0 and not self.ended:
            # Who was held up still looks at what came meanwhile.
            left = deadline - time.monotonic()
            self.pump(left)
        if self.queue:
            return self.queue.popleft()
        return ("eof", None) if self.ended else None

    def take(self, wanted, seconds=None):
        """Takes the first event that `wanted` accepts; others stay queued."""
        left = self.timeout if seconds is None else seconds
        deadline = time.monotonic() + left
        seen = 0
        while True:
            for index in range(seen, len(self.queue)):
                if wanted(self.queue[index]):
                    event = self.queue[index]
                    del self.queue[index]
                    return event
            if left <= 0 or self.ended:
                return None
            seen = len(self.queue)
            left = deadline - time.monotonic()
            self.pump(left)

    def ask(self, iq_id, text, seconds=None):
        """Sends an iq and takes its answer, wherever it stands."""
        self.send(text)
        event = self.take(lambda event: event[0] == "element" and
                          event[1].tag == f"{{{CLIENT}}}iq" and
                          event[1].get("id") == iq_id and
                          event[1].get("type") in ("result", "error"),
                          seconds)
        return event and event[1]

    def fence(self, host):
        """Returns once the server has handled all that was sent here; at
        once in the middle of an element."""
        if self.midway:
            return True
        self.fences += 1
        iq_id = f"fence-{self.fences}"
        return self.ask(iq_id, f"<iq type='get' id='{iq_id}' to='{host}'>"
                        "<ping xmlns='urn:xmpp:ping'/></iq>")

    def close(self):
        self.ended = True
        try:
            self.sock.close()
        except OSError:
            pass

    def drop(self):
        """Ends TCP below TLS, so that no close_notify is sent."""
        self.ended = True
        os.close(self.sock.detach())
