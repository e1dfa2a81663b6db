"""A file that others write, read line by line as it grows."""

import os


class Tail:
    def __init__(self, path):
        self.path, self.at = path, 0

    def news(self):
        """The lines that came since the last time; the last one of the file
        may be half written, so it is read once it has its end."""
        if not os.path.exists(self.path):
            return []
        with open(self.path, "rb") as file:
            file.seek(self.at)
            whole, newline, _ = file.read().rpartition(b"\n")
        self.at += len(whole + newline)
        return whole.decode(errors="replace").split("\n") if newline else []
