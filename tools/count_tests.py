#!/usr/bin/env python3
"""Reads what `meson test` left in a build folder: shows what failed and why what was skipped was.

usage: count_tests.py FOLDER

The last line is "tests: N passed, N failed, N skipped".
"""

import json
import sys
from pathlib import Path

PASSED = {"OK", "EXPECTEDFAIL"}
SKIPPED = {"SKIP"}
LINES_SHOWN = 60


def lines_of(test):
    return (test.get("stdout") or "").splitlines() + (test.get("stderr") or "").splitlines()


def reason(test):
    """The line that begins with "skipped", else the last one."""
    lines = [line.strip() for line in lines_of(test) if line.strip()]
    for line in lines:
        if line.lower().startswith("skipped"):
            return line[len("skipped"):].lstrip(": ") or line
    return lines[-1] if lines else "no reason given"


def main(arguments):
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 2
    folder = Path(arguments[0])
    log = folder / "meson-logs" / "testlog.json"
    if not log.exists():
        output = folder / "tests.log"
        print(output.read_text(errors="replace") if output.exists() else "no tests were run")
        print("tests: 0 passed, 1 failed, 0 skipped")
        return 1
    tests = [json.loads(line) for line in log.read_text().splitlines()]
    passed = failed = skipped = 0
    for test in tests:
        if test["result"] in PASSED:
            passed += 1
        elif test["result"] in SKIPPED:
            skipped += 1
            print(f"skipped: {test['name']}: {reason(test)}")
        else:
            failed += 1
            print(f"failed: {test['name']} ({test['result']}, {test['duration']:.1f} s)")
            print("\n".join("    " + line for line in lines_of(test)[-LINES_SHOWN:]))
    print(f"tests: {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
