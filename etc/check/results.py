#!/usr/bin/python3
"""results.py KIND TESTLOG: meson's testlog.json as one line for each case."""

import json
import re
import sys

CASE = re.compile(r"^(not ok|ok) \d+ - (.*?)(?: # (SKIP|skip)(.*))?$",
                  re.MULTILINE)


def say(test, failed_quietly):
    """The cases of a test program, and its end when that was no good."""
    name = f"{sys.argv[1]} {test['name'].split(' / ')[-1]}"
    cases = CASE.findall(test.get("stdout") or "")
    for verdict, case, skip, why in cases:
        if skip:
            print(f"skip {name}: {case} ({why.strip()})")
        else:
            print(f"{verdict} {name}: {case}")
    failed = any(case[0] == "not ok" for case in cases)
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
        print(f"not ok {sys.argv[1]}: no test ran")
        return
    for test in tests:
        bad = test["result"] not in ("OK", "EXPECTEDFAIL", "SKIP")
        failed = say(test, bad)
        if bad or failed:
            output = (test.get("stdout") or "") + (test.get("stderr") or "")
            for line in output.splitlines()[-60:]:
                print("    " + line)


main()
