#!/usr/bin/python3
"""Sizes of functions and files, by the numbers of the house style."""

import collections
import math
import re
import statistics
import subprocess

from source import ROOT, bare, files, finish, is_test, read, report

FUNCTION_LINES = 80
MEDIAN, P95 = 15, 60
PARAMETERS = 6
NESTING = 4

# Where another library says what its callbacks take.
CALLED = "conformance/interop/"

C_LINES, H_LINES, COLUMNS = 800, 200, 80

Function = collections.namedtuple("Function", "name path start end signature")


def functions(paths):
    listed = subprocess.run(
        ["ctags", "-x", "--c-kinds=f", "--languages=C", "--fields=+neS",
         "--_xformat=%N\t%F\t%n\t%{end}\t%{signature}", "-L", "-"],
        cwd=ROOT, input="\n".join(paths), capture_output=True, text=True,
        check=True)
    for line in listed.stdout.splitlines():
        name, path, start, end, signature = line.split("\t")
        if end.isdigit():
            yield Function(name, path, int(start), int(end), signature)


def lines(function):
    return function.end - function.start + 1


def parameters(function):
    depth, count = 0, 1
    for char in function.signature:
        depth += (char == "(") - (char == ")")
        count += char == "," and depth == 1
    return 0 if function.signature in ("()", "(void)") else count


def nesting(function, code):
    """Blocks within blocks; braces of initialisers do not count."""
    body = "\n".join(code[function.start - 1:function.end])
    stack, deepest = [], 0
    for match in re.finditer(r"[{}]", body):
        if match.group() == "}":
            if stack:
                stack.pop()
            continue
        before = body[:match.start()].rstrip()
        stack.append(bool(re.search(r"([;{}):]|\belse|\bdo)$", before)))
        deepest = max(deepest, sum(stack) - 1)
    return deepest


def where(function):
    return f"{function.path}:{function.start}: {function.name}"


def too_deep(found):
    code = {f.path: bare(read(f.path)).split("\n") for f in found}
    for function in found:
        depth = nesting(function, code[function.path])
        if depth > NESTING:
            yield f"{where(function)} nests {depth} deep"


def too_wide(path):
    for number, line in enumerate(read(path).split("\n"), 1):
        if len(line.expandtabs(8)) > COLUMNS:
            yield f"{path}:{number}: {len(line.expandtabs(8))} columns"


def too_long(path):
    limit = H_LINES if path.endswith(".h") else C_LINES
    count = read(path).count("\n")
    if count > limit:
        yield f"{path}: {count} lines, at most {limit}"


def spread(found):
    sizes = sorted(lines(f) for f in found if not is_test(f.path)) or [0]
    median = statistics.median(sizes)
    p95 = sizes[math.ceil(len(sizes) * 0.95) - 1]
    print(f"    {len(sizes)} functions: median {median:g} lines, p95 {p95}, "
          f"longest {sizes[-1]}")
    if median > MEDIAN:
        yield f"median over {MEDIAN}"
    if p95 > P95:
        yield f"p95 over {P95}"


def main():
    paths = files("*.c", "*.h")
    found = list(functions(paths))
    finish(
        report(f"sizes: functions of at most {FUNCTION_LINES} lines",
               [f"{where(f)} has {lines(f)} lines" for f in found
                if lines(f) > FUNCTION_LINES]),
        report(f"sizes: functions' median at most {MEDIAN}, p95 {P95}",
               list(spread(found))),
        report(f"sizes: at most {PARAMETERS} parameters",
               [f"{where(f)} takes {parameters(f)}" for f in found
                if parameters(f) > PARAMETERS
                and not f.path.startswith(CALLED)]),
        report(f"sizes: nesting at most {NESTING}", list(too_deep(found))),
        report(f"sizes: .c up to {C_LINES} lines, .h up to {H_LINES}",
               [f for p in paths for f in too_long(p)]),
        report(f"sizes: lines of at most {COLUMNS} columns",
               [f for p in paths for f in too_wide(p)]))


if __name__ == "__main__":
    main()
