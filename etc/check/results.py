#!/usr/bin/python3
"""results.py KIND TESTLOG: meson's testlog.json as one line for each case."""

import json
import re
import sys

# cmocka says of a skipped case: "not ok 3 # SKIP name".
CASE = re.compile(r"^(not ok|ok) \d+ (?:# (SKIP)|-) (.*?)(?: # .*)?$",
                  re.MULTILINE)


def say(test, failed_quietly):
    """The cases of a test program, and its end when that was no good."""
    name = f"{sys.argv[1]} {test['name'].split(' / ')[-1]}"
    cases = CASE.findall(test.get("stdout") or "")
    for verdict, skip, case in cases:
        print(f"{'skip' if skip else verdict} {name}: {case}")
    failed = any(verdict == "not ok" and not skip
                 for verdict, skip, _ in cases)
    if failed_quietly and not failed:
        print(f"not ok {name}: {test['result'].lower()}, "
              f"exit status {test['returncode']}")
    elif not cases:
        print(f"ok {name}")
    return failed


def main():
    try:
        with open(sys.argv[2], encoding="utf-8") as file:
            tests = [json.loads(line) for line in file]
    except OSError:
        tests = []
    if not tests:
        print(f"not ok {sys.argv[1]}: no test ran")
    for test in tests:
        bad = (test["result"] not in ("OK", "EXPECTEDFAIL", "SKIP") and
               test["returncode"] != 0)
        failed = say(test, bad)
        if bad or failed:
            output = (test.get("stdout") or "") + (test.get("stderr") or "")
            for line in output.splitlines()[-60:]:
                print("    " + line)


main()
