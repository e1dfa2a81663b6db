"""The lab's DNS: one signed zone, the root, that has all names."""

from pathlib import Path

from lab import DNS_ADDRESS, run

DNS = Path(__file__).resolve().parents[2] / "etc" / "check" / "dns"


class Names:
    """Knot with the zone of a lab; start again after the zone grew."""

    def __init__(self, lab):
        self.lab = lab
        self.folder = lab.folder / "dns"
        self.is_up = False
        lab.at_end.append(self.stop)

    def start(self):
        records = self.lab.folder / "names"
        records.write_text("\n".join(self.lab.zone) + "\n")
        run(DNS, "start", self.folder, records, DNS_ADDRESS, 53)
        self.is_up = True

    @property
    def anchor(self):
        """A file with the key that signs the zone."""
        return self.folder / "anchor"

    def stop(self):
        if self.is_up:
            run(DNS, "stop", self.folder)
        self.is_up = False
