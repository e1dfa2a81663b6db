"""The lab's DNS: one signed zone, the root, that has all names."""

from lab import DNS_ADDRESS, LabError, run, wait_for_port

CONFIG = """
server:
    listen: [ {address}@53 ]
    rundir: {folder}
    pidfile: {folder}/pid
database:
    storage: {folder}
policy:
  - id: lab
    algorithm: ECDSAP256SHA256
    single-type-signing: on
    ksk-lifetime: 0
zone:
  - domain: .
    storage: {folder}
    file: root.zone
    dnssec-signing: on
    dnssec-policy: lab
    journal-content: none
    zonefile-load: whole
    zonefile-sync: -1
"""

HEAD = """$ORIGIN .
$TTL 60
. SOA ns.lab-dns. nobody.lab. 1 60 60 600 5
. NS ns.lab-dns.
ns.lab-dns. A {address}
"""


class Names:
    """knotd with the zone of a lab; start again after the zone grew."""

    def __init__(self, lab):
        self.lab = lab
        self.folder = lab.folder / "dns"
        self.folder.mkdir()
        self.process = None

    def start(self):
        (self.folder / "root.zone").write_text(
            HEAD.format(address=DNS_ADDRESS) + "\n".join(self.lab.zone) + "\n")
        config = self.folder / "knot.conf"
        config.write_text(CONFIG.format(address=DNS_ADDRESS,
                                        folder=self.folder))
        with open(self.folder / "log", "ab") as log:
            self.process = self.lab.spawn(
                ["knotd", "-c", config], stdout=log, stderr=log)
        wait_for_port(DNS_ADDRESS, 53, self.process)
        self.wait_signed(config)

    def wait_signed(self, config):
        keys = run("keymgr", "-c", config, ".", "dnskey")
        if "DNSKEY" not in keys:
            raise LabError("the zone has no key")
        (self.folder / "anchor").write_text(keys)

    @property
    def anchor(self):
        """A file with the key that signs the zone."""
        return self.folder / "anchor"

    def stop(self):
        self.lab.end(self.process)
        self.process = None
