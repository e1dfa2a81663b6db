#!/usr/bin/python3
"""Functions that nobody may call, and what to use instead."""

import re

from source import bare, files, finish, is_test, read, report

BOUNDED = "writes without a bound: use base/buf.h or snprintf"
PARSE = "cannot report errors: parse with a bound and a check"
RANDOM = "predictable: use base/rand.h"
STATIC = "returns static memory: use the _r form"
LOOKUP = "blocks the shard and returns static memory: use getaddrinfo's async form"
BLOCKS = "blocks the shard"
SQL = "blocks the shard: use the pipeline"

FORBIDDEN = {
    "strcpy": BOUNDED, "stpcpy": BOUNDED, "strcat": BOUNDED,
    "strncpy": BOUNDED, "strncat": BOUNDED, "sprintf": BOUNDED,
    "vsprintf": BOUNDED, "scanf": PARSE, "sscanf": PARSE,
    "fscanf": PARSE, "atoi": PARSE, "atol": PARSE, "atoll": PARSE,
    "atof": PARSE, "rand": RANDOM, "srand": RANDOM, "random": RANDOM,
    "srandom": RANDOM, "drand48": RANDOM, "rand_r": RANDOM, "strtok": STATIC,
    "localtime": STATIC, "gmtime": STATIC, "asctime": STATIC, "ctime": STATIC,
    "inet_ntoa": STATIC, "getpwnam": STATIC, "getgrnam": STATIC,
    "gethostbyname": LOOKUP, "gethostbyaddr": LOOKUP,
    "alloca": "lets a peer choose the depth of the stack: use an arena",
    "tmpnam": "races: use mkstemp", "mktemp": "races: use mkstemp",
    "system": "starts a shell", "popen": "starts a shell", "sleep": BLOCKS,
    "usleep": BLOCKS, "nanosleep": BLOCKS, "PQexec": SQL, "PQexecParams": SQL,
    "PQexecPrepared": SQL,
}

# In tests and in the load generator nobody waits for the thread.
FREE_TO_BLOCK = {BLOCKS, SQL}

# The start of a program, before any shard runs.
START = {"getpwnam": ("server/daemon_start.c",),
         "getgrnam": ("server/daemon_start.c",)}

# Neither a member nor part of a longer name.
CALL = re.compile(r"(?<![\w.>])(" + "|".join(FORBIDDEN) + r")\s*\(")


def allowed(path, name):
    if path in START.get(name, ()):
        return True
    if is_test(path) or path.startswith(("bench/", "conformance/")):
        return FORBIDDEN[name] in FREE_TO_BLOCK
    return False


def faults(path):
    code = bare(read(path))
    for match in CALL.finditer(code):
        name = match.group(1)
        if not allowed(path, name):
            line = code.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {name}: {FORBIDDEN[name]}"


finish(report("calls: none that is forbidden",
              [f for p in files("*.c", "*.h") for f in faults(p)]))
