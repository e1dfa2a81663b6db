"""Reads requirements/*.tsv and coverage.tsv."""

import csv
import re
from dataclasses import dataclass

BINDING = ("MUST", "MUST NOT", "SHALL", "SHALL NOT", "REQUIRED", "SHOULD",
           "SHOULD NOT", "RECOMMENDED", "NOT RECOMMENDED")
KINDS = ("scene", "test", "not-server", "superseded", "declined")


@dataclass
class Requirement:
    id: str
    section: str
    title: str
    level: str
    who: str
    sentence: str


@dataclass
class Row:
    id: str
    kind: str
    where: str
    note: str


def rows_of(path, width):
    """All but the heading of a file of tab-separated values."""
    with open(path, encoding="utf-8", newline="") as lines:
        table = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(table)
        for number, row in enumerate(table, 2):
            if len(row) != width:
                raise ValueError(f"{path}:{number}: {len(row)} columns")
            yield row


def requirements(root):
    """id -> Requirement, of all texts, whatever the level."""
    found = {}
    for path in sorted((root / "requirements").glob("*.tsv")):
        for row in rows_of(path, 6):
            found[row[0]] = Requirement(*row)
    return found


def table(root):
    return [Row(*row) for row in rows_of(root / "coverage.tsv", 4)]


def order(requirement_id):
    """A key that sorts sections as a reader would."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part)
            for part in re.split(r"[/.]", requirement_id)]


def write(root, rows):
    lines = ["\t".join((row.id, row.kind, row.where, row.note))
             for row in sorted(rows, key=lambda row: order(row.id))]
    (root / "coverage.tsv").write_text(
        "\n".join(["id\tkind\twhere\tnote", *lines]) + "\n",
        encoding="utf-8")
