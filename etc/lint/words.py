#!/usr/bin/python3
"""What a file must say at its top, and what it may not say anywhere."""

import re

from source import files, finish, read, report

# Spelt so that this file has none of them.
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")
CODE = ("*.c", "*.h", "*.py", "*.sh", "*meson.build", "run", "check", "etc",
        "conformance/*run", "*.md")


def first_comment(path):
    """A header opens with its name and what it is for; pragma once follows."""
    text = read(path)
    if not text.startswith("/*\n * " + path):
        return [f"{path} does not open with /* and its own name"]
    if "\n#pragma once\n" not in text:
        return [f"{path} has no #pragma once"]
    return []


def unfinished(path):
    for number, line in enumerate(read(path).split("\n"), 1):
        if UNFINISHED.search(line):
            yield f"{path}:{number}: {line.strip()}"


def main():
    finish(
        report("words: headers open with what they are",
               [f for p in files("*.h") for f in first_comment(p)]),
        report("words: nothing left for later",
               [f for p in files(*CODE) for f in unfinished(p)]))


if __name__ == "__main__":
    main()
