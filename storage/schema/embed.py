#!/usr/bin/python3
"""Writes storage/schema/*.sql as C: embed.py OUTPUT FILE..."""

import re
import sys


def literal(line):
    escaped = line.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"')
    return f'    "{escaped}\\n"'


def version(path):
    backend, number = re.search(r"(\w+)-(\d+)\.sql$", path).groups()
    return backend, int(number)


def main(output, paths):
    with open(output, "w", encoding="utf-8") as out:
        out.write('#include "storage/schema/schema.h"\n')
        for backend in ("sqlite", "postgres"):
            mine = sorted((p for p in paths if version(p)[0] == backend),
                          key=version)
            assert [version(p)[1] for p in mine] == [*range(1, len(mine) + 1)]
            out.write(f"\nconst char *const schema_{backend}[] = {{\n")
            for path in mine:
                with open(path, encoding="utf-8") as sql:
                    out.write("\n".join(map(literal, sql)) + ",\n")
            out.write("    NULL,\n};\n")


main(sys.argv[1], sys.argv[2:])
