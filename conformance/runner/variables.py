"""Variables of a scene, and their replacement in its blocks."""

import base64
import re
from xml.sax.saxutils import escape

from .scene import SceneError

NAMESPACES = {
    word: f"urn:ietf:params:xml:ns:xmpp-{word}"
    for word in ("stanzas", "streams", "sasl", "tls", "bind")
}
NAMESPACES["namespaces"] = ("xmlns='jabber:client' "
                            "xmlns:stream='http://etherx.jabber.org/streams'")
WILDCARD = re.compile(r"\{((?:any|number|time)(?::\w+)?|none|only|not)\}")
INNERMOST = re.compile(r"\{([^{}]*)\}")
# Wildcards survive replacement between these two private-use characters.
OPEN, SHUT = "\ue000", "\ue001"


class Variables:
    def __init__(self):
        self.values = dict(NAMESPACES)

    def __setitem__(self, name, value):
        self.values[name] = value

    def __getitem__(self, name):
        if name not in self.values:
            raise SceneError(f"nothing is known of {{{name}}}")
        return self.values[name]

    def expand(self, text, quote=True):
        """Replaces all variables; `quote` makes the values safe in XML."""
        def replace(match):
            return self.value_of(match[1], quote)

        before = None
        while before != text:
            before, text = text, INNERMOST.sub(replace, text)
        return text

    def expand_pattern(self, text):
        """The same, but wildcards stay, marked by OPEN and SHUT."""
        text = WILDCARD.sub(rf"{OPEN}\1{SHUT}", text)
        return self.expand(text)

    def value_of(self, name, quote):
        word, _, rest = name.partition(":")
        if name.startswith("u+"):
            return chr(int(name[2:], 16))
        if word == "byte":
            return bytes([int(rest, 16)]).decode("ascii", "surrogateescape")
        if word == "repeat":
            text, _, times = rest.rpartition(":")
            return text * int(times)
        if word == "upper":
            return rest.upper()
        if word == "wide":
            # U+FF01 to U+FF5E are the full-width forms of ASCII.
            return "".join(chr(ord(c) + 0xFEE0) for c in rest)
        if word == "base64":
            text = rest.replace("\\0", "\0").encode("utf-8", "surrogateescape")
            return base64.b64encode(text).decode()
        value = self[name]
        return escape(value, {"'": "&apos;", '"': "&quot;"}) if quote \
            else value
