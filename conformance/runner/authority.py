"""Certificates of scripted peers, made by the openssl command."""

import secrets
import tempfile
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

from .openssl import XMPP_ADDR, run
from .steps import Failed

SRV_NAME = "1.3.6.1.5.5.7.8.7"  # id-on-dnsSRV, RFC 4985
# What subjectAltName of each kind of certificate says of a domain.
NAMES = {
    "good": "DNS:{domain}", "expired": "DNS:{domain}", "brief": "DNS:{domain}",
    "self-signed": "DNS:{domain}", "untrusted": "DNS:{domain}",
    "server-only": "DNS:{domain}", "misnamed": "DNS:other.{domain}",
    "common-name": "DNS:other.{domain}", "wildcard": "DNS:*.{parent}",
    "inner-wildcard": "DNS:*.*.{top}",
    "SRV-ID": "otherName:" + SRV_NAME +
              ";IA5STRING:_xmpp-server.{domain}",
    "client-SRV-ID": "otherName:" + SRV_NAME +
                     ";IA5STRING:_xmpp-client.{domain}",
    "XmppAddr": "otherName:" + XMPP_ADDR + ";UTF8:{domain}",
}
# How long those are good that are not good for long.
LEFT = {"expired": timedelta(days=-1), "brief": timedelta(seconds=15)}
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

# What "openssl ca" must have, which alone sets both dates in all versions.
CA = """
[ca]
default_ca = this
[this]
database = {folder}/issued
new_certs_dir = {folder}
default_md = sha256
rand_serial = yes
policy = names
[names]
commonName = supplied
"""


def sign_until(folder, signer, end):
    """Makes `cert` of `req` there, good for the day before `end`."""
    (folder / "ca").write_text(CA.format(folder=folder))
    (folder / "issued").touch()
    dates = [each.strftime("%Y%m%d%H%M%SZ")
             for each in (end - timedelta(days=1), end)]
    run("ca", "-batch", "-notext", "-config", folder / "ca",
        "-cert", signer[0], "-keyfile", signer[1], "-extfile", folder / "ext",
        "-startdate", dates[0], "-enddate", dates[1],
        "-in", folder / "req", "-out", folder / "cert")


def certify(folder, subject, names, signer, kind):
    """A file with a certificate and its key, signed by `signer` (certificate,
    key), or by itself if `kind` is "self-signed"."""
    purpose = "extendedKeyUsage=serverAuth\n" if kind == "server-only" else ""
    (folder / "ext").write_text(
        (f"subjectAltName={names}\n" if names else "") + purpose)
    run("req", *KEY, "-keyout", folder / "key", "-subj", f"/CN={subject}",
        "-out", folder / "req")
    if kind in LEFT:
        sign_until(folder, signer, datetime.now(timezone.utc) + LEFT[kind])
    else:
        by = ("-signkey", folder / "key") if kind == "self-signed" else \
            ("-CA", signer[0], "-CAkey", signer[1])
        run("x509", "-req", "-in", folder / "req", *by, "-set_serial",
            "0x1" + secrets.token_hex(8), "-days", "2", "-extfile",
            folder / "ext", "-out", folder / "cert")
    (folder / "both").write_text((folder / "cert").read_text() +
                                 (folder / "key").read_text())
    return folder / "both"


def client_certificate(folder, jids, signer, kind):
    """Such a file of a client with these JIDs."""
    names = ",".join(f"otherName:{XMPP_ADDR};UTF8:{jid}" for jid in jids)
    return certify(Path(tempfile.mkdtemp(dir=folder)), "A client", names,
                   signer, kind)


class Authority:
    """Signs with the authority that the server trusts for its peers."""

    def __init__(self, folder, certificate, key):
        self.folder, self.trusted = Path(folder), (certificate, key)
        self.lock, self.other = threading.Lock(), None

    def untrusted(self):
        """Another authority, which nobody trusts."""
        with self.lock:
            if self.other is None:
                files = self.folder / "other.pem", self.folder / "other.key"
                run("req", "-x509", *KEY, "-keyout", files[1], "-out",
                    files[0], "-days", "2", "-subj", "/CN=Nobody")
                self.other = files
        return self.other

    def issue(self, domain, kind="good"):
        """A file with such a certificate for the domain, and its key."""
        if kind not in NAMES:
            raise Failed(f"no such certificate: {kind}")
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        parent = domain.partition(".")[2]
        names = NAMES[kind].format(domain=domain, parent=parent,
                                   top=parent.partition(".")[2])
        signer = self.untrusted() if kind == "untrusted" else self.trusted
        return certify(folder, domain if kind == "common-name" else "A peer",
                       names, signer, kind)
