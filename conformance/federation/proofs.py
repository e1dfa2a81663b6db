"""What proves a domain whose certificate no authority vouches for: DANE
(RFC 7673) and POSH (RFC 7711), between two Jackdaws, in both directions. And
what does by default when a server that connects presents none: dialback."""

import base64
import hashlib
import http.server
import json
import ssl
import subprocess
import threading

from checkup import checkup_is_well
from lab import Domain
from matrix import report, stop_all
from servers import KINDS
from talk import Lost, Person, converse


def der_of(path, *words):
    return subprocess.run(["openssl", "x509", "-in", path, *words],
                          check=True, capture_output=True).stdout


def add_tlsa(lab, domain):
    """3 1 1: this very key, whoever signed it."""
    certificate, _ = lab.authority.files(domain.name)
    pem = der_of(certificate, "-noout", "-pubkey")
    key = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    lab.zone.append(f"_5269._tcp.{domain.target}. TLSA 3 1 1 "
                    f"{hashlib.sha256(key).hexdigest()}")


def posh_document(lab, domain):
    certificate, _ = lab.authority.files(domain.name)
    digest = hashlib.sha256(der_of(certificate, "-outform", "DER")).digest()
    return json.dumps({"expires": 600, "fingerprints": [
        {"sha-256": base64.b64encode(digest).decode()}]}).encode()


class Web:
    """An HTTPS server for domains that publish how they are proved."""

    def __init__(self, lab, site, domains):
        documents = {domain.name: posh_document(lab, domain)
                     for domain in domains}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                document = documents.get(self.headers["Host"])
                known = document is not None and \
                    self.path == "/.well-known/posh/xmpp-server.json"
                self.send_response(200 if known else 404)
                body = document if known else b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words):
                pass

        self.server = http.server.ThreadingHTTPServer((site.v4, 443), Handler)
        self.server.socket = self.context(lab, domains).wrap_socket(
            self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    @staticmethod
    def context(lab, domains):
        """Each name has a good certificate for the web, of its own."""
        contexts = {}
        for domain in domains:
            lab.authority.issue(domain.name, "good", "web-")
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            made.load_cert_chain(*lab.authority.files(f"web-{domain.name}"))
            contexts[domain.name] = made
        first = next(iter(contexts.values()))

        def choose(connection, name, _context):
            connection.context = contexts.get(name, first)

        first.sni_callback = choose
        return first

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def check(lab, ours, theirs, host, peer, proof):
    """They talk, and that is what proved it."""
    if proof == "POSH":
        lab.need("resolver")
    converse(Person(ours, "juliet", host.name),
             Person(theirs, "romeo", peer.name))
    if f"{peer.name}: connected from {host.name}, proved by {proof}" \
            not in ours.output():
        raise Lost(f"it was not {proof} that proved {peer.name}")
    checkup_is_well(ours, host.name, peer.name, proof)


def without_certificate(ours, theirs, host, peer):
    """They connect so; when we ask whether it is them, they have one."""
    converse(Person(theirs, "romeo", peer.name),
             Person(ours, "juliet", host.name))
    if not ours.has_line(f"{peer.name} may send to {host.name}",
                         "proved by dialback"):
        raise Lost(f"it was not dialback that proved {peer.name}")
    checkup_is_well(ours, host.name, peer.name)


def play(lab, names, peer, wanted):
    if peer == "jackdaw":
        play_published(lab, names, peer, wanted)
    elif wanted in "dialback":
        play_shy(lab, names, peer)


def play_shy(lab, names, peer):
    host, other = [lab.add(Domain(f"shy{site.number}.proof.lab", site,
                                  "direct")) for site in lab.sites[:2]]
    names.start()
    made = [KINDS["jackdaw"](lab, names, [host]),
            KINDS[peer](lab, names, [other], is_shy=True)]
    for server in made:
        server.start()
    report(f"proof {peer}: dialback, as no certificate is presented",
           without_certificate, *made, host, other)
    stop_all(f"proof {peer}", *made)
    names.stop()


def play_published(lab, names, peer, wanted):
    pairs = {proof: [lab.add(Domain(f"{proof.lower()}{site.number}.proof.lab",
                                    site, certificate="self-signed"))
                     for site in lab.sites[:2]]
             for proof in ("DANE", "POSH") if wanted in proof}
    if not pairs:
        return
    for domain in pairs.get("DANE", ()):
        add_tlsa(lab, domain)
    lab.zone += [f"{domain.name}. A {domain.site.v4}"
                 for domain in pairs.get("POSH", ())]
    names.start()
    everyone = [domain for pair in pairs.values() for domain in pair]
    proofs = {domain.name: "external" for domain in everyone}
    made = [KINDS[kind](lab, names,
                        [domain for domain in everyone if domain.site is site],
                        proofs)
            for kind, site in zip(("jackdaw", peer), lab.sites)]
    webs = [Web(lab, domain.site, [domain])
            for domain in pairs.get("POSH", ())]
    for server in made:
        server.start()
    for proof, (host, other) in pairs.items():
        report(f"proof {peer}: {proof}", check, lab, *made, host, other,
               proof)
    stop_all(f"proof {peer}", *made)
    for web in webs:
        web.close()
    names.stop()
