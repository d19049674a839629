#!/usr/bin/env python3
"""Checks that each edge case that the pool's contract has is named by a test.

usage: edge_cases_check.py TESTS_FOLDER

A test names those that it holds in its title: "(edge case 8)", "(edge cases 10, 11)". docs/edge-cases.md
says what they are.
"""

import re
import sys
from pathlib import Path

NAMED = re.compile(r"[Ee]dge cases? ((?:\d+(?:, | and | to )?)+)")


def numbers(text):
    for words in NAMED.findall(text):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", words):
            yield from range(int(first), int(last or first) + 1)


def main():
    tests = Path(sys.argv[1])
    table = (tests.parent / "docs" / "edge-cases.md").read_text()
    wanted = {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    named = set()
    for path in tests.rglob("*"):
        if path.suffix in (".cpp", ".sh", ".py", ".hpp") and path.name != Path(__file__).name:
            text = re.sub(r'"\s*\n\s*"', "", path.read_text())  # long titles are broken
            titles = re.findall(r'(?:TEST_CASE|SUBCASE)\w*\(\s*(?:\w+,\s*)?"([^"]*)"', text)
            head = text[:400]
            named.update(number for title in [*titles, head] for number in numbers(title))
    missing = sorted(wanted - named)
    unknown = sorted(named - wanted)
    if missing:
        print("no test names the edge cases " + ", ".join(map(str, missing)))
    if unknown:
        print("docs/edge-cases.md does not have " + ", ".join(map(str, unknown)))
    print(f"{len(wanted & named)} of {len(wanted)} edge cases are named by tests")
    return 1 if missing or unknown or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
