#!/usr/bin/env python3
"""Prints the names of the programs that the tests of some suites run.

usage: suite_targets.py BUILD_FOLDER SUITE...
"""

import json
import os
import subprocess
import sys


def introspect(folder, what):
    done = subprocess.run(["meson", "introspect", folder, what], check=True, text=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def main():
    folder, suites = sys.argv[1], set(sys.argv[2:])
    root = os.path.abspath(folder)
    by_file, by_id = {}, {}
    for target in introspect(folder, "--targets"):
        # As `meson compile` takes it: a name alone may be that of a library, too.
        where = os.path.join(os.path.relpath(os.path.dirname(target["filename"][0]), root),
                             target["name"])
        by_id[target["id"]] = f"{where}:{target['type'].replace(' ', '_')}"
        if target["type"] == "executable":
            by_file.update((name, target["id"]) for name in target["filename"])
    wanted = set()
    for test in introspect(folder, "--tests"):
        if suites & {suite.split(":")[-1] for suite in test["suite"]}:
            words = (os.path.normpath(os.path.join(root, word)) for word in test["cmd"])
            wanted.update(by_id[by_file[word]] for word in words if word in by_file)
            wanted.update(by_id[one] for one in test["depends"] if one in by_id)
    if not wanted:
        sys.exit(f"no program of {folder} is a test of {', '.join(sorted(suites))}")
    print(*sorted(wanted))


if __name__ == "__main__":
    main()
