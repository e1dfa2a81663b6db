"""SASL from the client's side, RFC 4422, 4616, 5802, 5929; with faults."""

import base64
import hashlib
import hmac
import secrets

from . import openssl

HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256",
          "SCRAM-SHA-512": "sha512"}
# DER of the signature algorithms whose hash is not SHA-256, RFC 5929 4.1.
SHA384_OIDS = ("2a8648ce3d040303", "2a864886f70d01010c")
SHA512_OIDS = ("2a8648ce3d040304", "2a864886f70d01010d")
# RFC 5802, section 5.1; RFC 7677, section 4.
LEAST_ROUNDS = 4096


class SaslError(Exception):
    """The server broke the mechanism's rules."""


def encode(data):
    return base64.b64encode(data).decode() or "="


def decode(text):
    """RFC 6120, section 13.9.1: padding bits must be zero."""
    data = base64.b64decode(text or "", validate=True)
    if base64.b64encode(data).decode() != (text or ""):
        raise SaslError(f"{text} has stray bits")
    return data


def fields_of(message):
    """A SCRAM message's attributes by their letter."""
    return dict(part.split("=", 1) for part in message.decode().split(","))


def end_point(tls):
    """tls-server-end-point of that connection, RFC 5929 section 4.1."""
    der = tls.getpeercert(binary_form=True)
    tail = der[-700:].hex()
    name = "sha256"
    if any(oid in tail for oid in SHA384_OIDS):
        name = "sha384"
    elif any(oid in tail for oid in SHA512_OIDS):
        name = "sha512"
    return hashlib.new(name, der).digest()


class Plain:
    challenges = 0

    def __init__(self, user, password):
        self.first = f"\0{user}\0{password}".encode()

    def answer(self, challenge):
        raise SaslError(f"PLAIN has no challenge, got {challenge!r}")

    def verify(self, _data):
        pass


class Scram:
    """`fault` is one of README.md's, or None."""

    def __init__(self, mechanism, user, password, binding, fault):
        self.hash = HASHES[mechanism.removesuffix("-PLUS")]
        self.password, self.fault = password, fault
        self.binding = b""
        header = "n,,"
        if fault == "downgrade":
            header = "y,,"
        elif mechanism.endswith("-PLUS"):
            name, self.binding = binding
            header = f"p={name},,"
        self.header = header.encode()
        self.nonce = secrets.token_urlsafe(18)
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={name},r={self.nonce}"
        self.first = self.header + self.bare.encode()
        self.expected = None
        self.challenges = 0

    def hmac(self, key, data):
        return hmac.digest(key, data, self.hash)

    def answer(self, challenge):
        if self.expected is not None:
            self.verify(challenge)
            return b""
        self.challenges += 1
        fields = fields_of(challenge)
        if not fields["r"].startswith(self.nonce) or \
                fields["r"] == self.nonce:
            raise SaslError("the server's nonce does not extend ours")
        if int(fields["i"]) < LEAST_ROUNDS:
            raise SaslError(f"only {fields['i']} rounds")
        salted = hashlib.pbkdf2_hmac(
            self.hash, self.password.encode(), decode(fields["s"]),
            int(fields["i"]))
        return self.final(challenge.decode(), fields["r"], salted)

    def final(self, server_first, nonce, salted):
        if self.fault == "wrong nonce":
            nonce = nonce[:-1] + ("a" if nonce[-1] != "a" else "b")
        binding = self.binding
        if self.fault == "wrong binding":
            binding = bytes(len(binding))
        without = f"c={encode(self.header + binding)},r={nonce}"
        auth = f"{self.bare},{server_first},{without}".encode()
        key = self.hmac(salted, b"Client Key")
        stored = hashlib.new(self.hash, key).digest()
        proof = bytes(a ^ b for a, b in zip(key, self.hmac(stored, auth)))
        if self.fault == "bad proof":
            proof = proof[:-1] + bytes([proof[-1] ^ 1])
        server_key = self.hmac(salted, b"Server Key")
        self.expected = self.hmac(server_key, auth)
        return f"{without},p={encode(proof)}".encode()

    def verify(self, data):
        """Data with success: the server's proof that it knows us too."""
        if self.expected is None:
            raise SaslError("success before the exchange was over")
        if not data and self.expected == b"":
            return
        if data != b"v=" + encode(self.expected).encode():
            raise SaslError("the server's signature is wrong")
        self.expected = b""


def binding_of(tls, kind, fault):
    """Name and data of that type of channel binding."""
    if fault == "wrong binding type":
        return "tls-nonsense", end_point(tls)
    if kind == "tls-exporter":
        return kind, openssl.exporter(tls)
    return "tls-server-end-point", end_point(tls)


def start(mechanism, user, password, tls, fault=None, binding=None):
    """A mechanism object with `first`, answer() and verify(); `binding` is
    the type of channel binding for a mechanism that has it."""
    if fault == "wrong password":
        password += "x"
    elif fault == "no password":
        password = ""
    elif fault == "unknown user":
        user = "nobody-" + secrets.token_hex(6)
    if mechanism == "PLAIN":
        return Plain(user, password)
    channel = None
    if mechanism.endswith("-PLUS"):
        channel = binding_of(tls, binding, fault)
    return Scram(mechanism, user, password, channel, fault)


def choose(offered):
    """The cheapest of the mechanisms that are not PLAIN, else PLAIN."""
    for mechanism in (*HASHES, "PLAIN"):
        if mechanism in offered:
            return mechanism
    raise SaslError(f"no mechanism of ours among {sorted(offered)}")
