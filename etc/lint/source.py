"""The project's sources, and how a lint check says what it found."""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Comments, string and character literals; a match starting with "/" is a
# comment.
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                   re.DOTALL)


def files(*patterns):
    """Paths below the root that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(path for path in set(listed.stdout.split())
                  if os.path.exists(os.path.join(ROOT, path)))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def bare(text):
    """The code with comments and literals blanked, line numbers kept."""
    def blank(match):
        lines = "\n" * match.group().count("\n")
        return " " + lines if match.group()[0] == "/" else '""' + lines
    return TOKEN.sub(blank, text)


def is_test(path):
    return path.endswith(("_test.c", "_fuzz.c"))


def report(name, faults):
    """Prints the check's line and its faults; True when there are none."""
    print(("not ok " if faults else "ok ") + name)
    for fault in faults:
        print("    " + fault)
    sys.stdout.flush()
    return not faults


def finish(*passed):
    sys.exit(0 if all(passed) else 1)
