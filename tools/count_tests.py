#!/usr/bin/env python3
"""Reads what `meson test` left in a build folder: shows what failed and why what was skipped was.

usage: count_tests.py FOLDER | --self-test

A test whose output has lines "skipped CASE: why" has passed, and each of those cases was skipped.
The last line is "tests: N passed, N failed, N skipped".
"""

import contextlib
import io
import json
import re
import sys
import tempfile
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


def skipped_cases(test):
    """"CASE: why" of each."""
    return [match.group(1) for line in lines_of(test)
            if (match := re.match(r"skipped ([^:]+: .*\S)", line))]


def count(folder):
    """Prints all that did not pass, and the counts. The exit status."""
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
            for case in skipped_cases(test):
                skipped += 1
                print(f"skipped: {test['name']}: {case}")
        elif test["result"] in SKIPPED:
            skipped += 1
            print(f"skipped: {test['name']}: {reason(test)}")
        else:
            failed += 1
            print(f"failed: {test['name']} ({test['result']}, {test['duration']:.1f} s)")
            print("\n".join("    " + line for line in lines_of(test)[-LINES_SHOWN:]))
    print(f"tests: {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


def self_test():
    tests = [
        {"name": "whole", "result": "OK", "stdout": "all is well\n"},
        {"name": "half", "result": "OK", "stdout": "skipped a case: no cgroup\nskipped b: c: d\n"},
        {"name": "none", "result": "SKIP", "stdout": "skipped: no spin\n"},
        {"name": "broken", "result": "FAIL", "duration": 1.0, "stdout": "skipped x: y\n"},
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "meson-logs").mkdir()
        (folder / "meson-logs" / "testlog.json").write_text(
            "\n".join(json.dumps(test) for test in tests))
        if skipped_cases(tests[1]) != ["a case: no cgroup", "b: c: d"]:
            sys.exit("cases that were skipped are not found")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = count(folder)
    if code != 1 or not output.getvalue().endswith("tests: 2 passed, 1 failed, 3 skipped\n"):
        sys.exit(f"it counts wrongly:\n{output.getvalue()}")
    return 0


def main(arguments):
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 2
    return self_test() if arguments[0] == "--self-test" else count(Path(arguments[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
