#!/usr/bin/python3
"""What the documents name must exist: files, functions and macros."""

import os
import re

from source import ROOT, files, finish, read, report

SPAN = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w.-]+(/[\w.-]+)+")
NAME = re.compile(r"[a-z]\w*_\w+")


def names_in(path):
    for span in SPAN.findall(read(path)):
        if PATH.fullmatch(span) or NAME.fullmatch(span):
            yield span


def missing(path, words):
    for name in names_in(path):
        found = os.path.exists(os.path.join(ROOT, name)) if "/" in name \
            else name in words
        if not found and not name.startswith(("build", "var/", "etc/jackdaw")):
            yield f"{path} names {name}, which is not there"


def main():
    words = set()
    for path in files("*.c", "*.h", "*.py", "*meson.build"):
        words.update(re.findall(r"\w+", read(path)))
    finish(report("docs: what they name is there",
                  [f for p in files("docs/*.md", "README.md")
                   for f in missing(p, words)]))


if __name__ == "__main__":
    main()
