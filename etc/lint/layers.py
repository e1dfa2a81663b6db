#!/usr/bin/python3
"""Holds the layers: who may include what.

    base <- xml <- server <- modules <- main.c      (a <- b: b includes a)
    base <- storage <- server
"""

import posixpath
import re

from source import files, finish, is_test, read, report

ALLOWED = {
    "base": {"base"},
    "xml": {"base", "xml"},
    "storage": {"base", "storage"},
    "server": {"base", "xml", "storage", "server"},
    "modules": {"base", "xml", "server", "modules"},
    "main.c": {"base", "xml", "storage", "server", "modules"},
}

# What every layer above storage sees of it.
STORE_API = "storage/store.h"

NETWORK = ("uv.h", "sys/socket.h", "netinet/", "arpa/", "netdb.h", "gnutls/gnutls.h",
           "unbound.h", "curl/")
SQL = ("libpq-fe.h", "sqlite3.h")

# Layer -> system headers that are none of its business.
FOREIGN = {
    "base": NETWORK + SQL + ("expat.h",),
    "xml": NETWORK + SQL,
    "storage": ("expat.h", "gnutls/gnutls.h"),
    "server": SQL,
    "modules": NETWORK + SQL,
}

# The journal is reached by a socket, and logging must work in every layer.
# Reading an IPv6 address off an XMPP address takes no network.
EXCEPT = {("base/log.c", "sys/socket.h"), ("xml/idna.c", "arpa/inet.h")}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def layer_of(path):
    return path.split("/")[0]


def may_include(path, target):
    layer = layer_of(path)
    if layer not in ALLOWED or target == STORE_API and layer == "modules":
        return True
    return layer_of(target) in ALLOWED[layer]


def outward(path, includes):
    for kind, target in includes:
        if kind == '"' and not may_include(path, target):
            yield f"{path} includes {target}"
        if kind == "<" and target.startswith(FOREIGN.get(layer_of(path), ())):
            if not is_test(path) and (path, target) not in EXCEPT:
                yield f"{path} includes <{target}>"


def relative(path, includes):
    """Quoted names start at the root of the project."""
    for kind, target in includes:
        if kind == '"' and posixpath.dirname(target) == "":
            yield f'{path} includes "{target}" without its folder'


def own_header_late(path, includes, headers):
    own = path[:-2] + ".h"
    if path.endswith(".c") and own in headers and includes[:1] != [('"', own)]:
        yield f"{path} does not include {own} first"


def cycles(graph):
    done, faults = set(), []

    def visit(path, way):
        if path in way:
            faults.append(" -> ".join(way[way.index(path):] + [path]))
        elif path not in done:
            for target in graph.get(path, ()):
                visit(target, way + [path])
            done.add(path)

    for path in graph:
        visit(path, [])
    return faults


def main():
    paths = files("*.c", "*.h")
    headers = {path for path in paths if path.endswith(".h")}
    includes = {path: INCLUDE.findall(read(path)) for path in paths}
    graph = {path: [t for k, t in includes[path] if k == '"' and t in headers]
             for path in headers}
    finish(
        report("layers: includes point down only",
               [f for p in paths for f in outward(p, includes[p])]),
        report("layers: include paths start at the root",
               [f for p in paths for f in relative(p, includes[p])]),
        report("layers: a file includes its own header first",
               [f for p in paths
                for f in own_header_late(p, includes[p], headers)]),
        report("layers: headers include each other in no circle",
               cycles(graph)))


if __name__ == "__main__":
    main()
