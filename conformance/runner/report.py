"""Prints results: for people, as TAP, as JSON, and by section."""

import json
from collections import Counter

from . import coverage

COLUMNS = ("scene", "test", "not-server", "superseded", "declined",
           "missing")


def printer(options, count):
    """A function that prints one result as the options want it."""
    if options.json:
        return print_json
    if options.tap:
        print(f"1..{count}")
        return print_tap
    return lambda number, result: print_plain(result, options.verbose)


def print_json(_number, result):
    print(json.dumps({
        "scene": result.scene.name, "verdict": result.verdict,
        "why": result.why, "seconds": round(result.seconds, 3),
        "proves": result.scene.proves}), flush=True)


def print_tap(number, result):
    verdict = "not ok" if result.verdict == "failed" else "ok"
    skip = f" # SKIP {result.why}" if result.verdict == "skipped" else ""
    print(f"{verdict} {number} - {result.scene.name}{skip}", flush=True)
    if result.verdict == "failed":
        for line in result.why.splitlines():
            print(f"# {line}")


def print_plain(result, verbose):
    if result.verdict == "ok":
        return
    print(f"{result.verdict}: {result.scene.name}: {result.scene.title}")
    for line in result.why.splitlines():
        print(f"    {line}")
    if verbose and result.verdict == "failed":
        for who, log in result.logs:
            for what, data in log:
                print(f"    {who} {what}: "
                      f"{data.decode('utf-8', 'backslashreplace')}")


def total(results, prefix=""):
    count = Counter(result.verdict for result in results)
    print(f"{prefix}{count['ok']} passed, {count['failed']} failed, "
          f"{count['skipped']} skipped")


def by_section(root, results):
    """Coverage of each section, and how its scenes fared."""
    wanted = {key: value for key, value in coverage.requirements(root).items()
              if value.level in coverage.BINDING}
    kinds = {row.id: row.kind for row in coverage.table(root)}
    verdicts = {}
    for result in results:
        for proved in result.scene.proves:
            verdicts.setdefault(proved, []).append(result.verdict)
    print("text/section\t" + "\t".join(COLUMNS) + "\tok\tfailed\tskipped")
    sections, sums = {}, Counter()
    for key in wanted:
        sections.setdefault(key.rpartition("/")[0], []).append(key)
    for name in sorted(sections, key=coverage.order):
        count = count_section(sections[name], kinds, verdicts)
        sums.update(count)
        print_row(name, count)
    print_row("all", sums)


def count_section(ids, kinds, verdicts):
    count = Counter(kinds.get(key, "missing") for key in ids)
    for key in ids:
        fared = verdicts.get(key, [])
        for verdict in ("failed", "skipped", "ok"):
            if verdict in fared:
                count[verdict] += 1
                break
    return count


def print_row(name, count):
    cells = (str(count[column])
             for column in (*COLUMNS, "ok", "failed", "skipped"))
    print(f"{name}\t" + "\t".join(cells))
