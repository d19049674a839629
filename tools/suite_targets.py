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
    files = {name: target["name"] for target in introspect(folder, "--targets")
             if target["type"] == "executable" for name in target["filename"]}
    wanted = {files[word]
              for test in introspect(folder, "--tests")
              if suites & {suite.split(":")[-1] for suite in test["suite"]}
              for word in (os.path.normpath(os.path.join(root, word)) for word in test["cmd"])
              if word in files}
    if not wanted:
        sys.exit(f"no program of {folder} is a test of {', '.join(sorted(suites))}")
    print(*sorted(wanted))


if __name__ == "__main__":
    main()
