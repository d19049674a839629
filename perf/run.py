#!/usr/bin/env python3
"""Runs the performance suite of a build, prints what was measured, and judges the bounds.

usage: run.py BUILD [--quick] [--check]

BUILD is a release build with -Dperf=enabled. --quick: fewer rounds, smaller files, no instruction counts. --check:
what fails is measured again, three times in all, and the exit status is 1 if a bound still fails.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves nothing in the source tree

import check_bounds

TRIES = 3
LIMIT_S = 600
# The question a name belongs to is its first part: one program each, and `counts`.
ROUNDS = {"ring": 41, "dispatch": 41, "wake": 41, "batch": 15, "start": 7, "io": 15, "tree": 7,
          "arrays": 41, "echo": 21, "loop": 11}
ROUNDS_QUICK = {"ring": 11, "dispatch": 11, "wake": 11, "batch": 5, "start": 3, "io": 5, "tree": 3,
                "arrays": 11, "echo": 5, "loop": 5}


def command_of(build):
    """The `pinion` command of this build."""
    for path in sorted(build.rglob("pinion")):
        if path.is_file() and os.access(path, os.X_OK):
            return path
    return None


def measure(question, build, quick):
    out = build / "perf" / f"{question}.json"
    environment = dict(os.environ)
    command = command_of(build)
    if command:
        environment["PINION_COMMAND"] = str(command)
    if quick:
        environment["PINION_PERF_QUICK"] = "1"
    if question == "counts":
        argv = [sys.executable, str(Path(__file__).parent / "counts" / "count.py"),
                str(build / "perf"), str(out)] + (["--quick"] if quick else [])
    else:
        rounds = (ROUNDS_QUICK if quick else ROUNDS)[question]
        program = build / "perf" / f"perf_{question}"
        if not program.exists():
            return {"program_skipped": f"{program.name} is not built: a library is missing"}
        argv = [str(program), str(rounds), str(out)]
    print(f"measuring {question} ...", flush=True)
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, env=environment,
                              timeout=2 * LIMIT_S if question == "counts" else LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"program_broken": f"perf_{question} ran too long"}
    if done.returncode == 77:
        return {"program_skipped": "two usable CPUs are needed"}
    if done.returncode != 0:
        return {"program_broken": f"perf_{question} ended with {done.returncode}"}
    return json.loads(out.read_text())


def question_of(bound):
    return bound["of"].split("/")[0]


def judge_all(bounds, data):
    """Verdicts by bound name. A program that broke fails its bounds."""
    rows = {}
    results = check_bounds.Results()
    for found in data.values():
        results.add(found)
    for bound in bounds:
        found = data[question_of(bound)]
        if "program_broken" in found:
            verdict = ("failed", None, None, found["program_broken"])
        elif "program_skipped" in found:
            verdict = ("skipped", None, None, found["program_skipped"])
        else:
            verdict = check_bounds.judge(bound, results)
        rows[bound["name"]] = verdict
    return results, rows


def main(arguments):
    paths = [word for word in arguments if not word.startswith("-")]
    if len(paths) != 1 or "--help" in arguments:
        print(__doc__.strip())
        return 2
    build = Path(paths[0]).resolve()
    quick, check = "--quick" in arguments, "--check" in arguments
    bounds = check_bounds.load_bounds()
    verdicts = {}
    open_bounds = bounds
    for attempt in range(TRIES if check else 1):
        if attempt:
            print(f"\ntry {attempt + 1} of {TRIES}: " + "; ".join(b["name"] for b in open_bounds))
        questions = dict.fromkeys(question_of(bound) for bound in open_bounds)
        data = {question: measure(question, build, quick) for question in questions}
        results, rows = judge_all(open_bounds, data)
        verdicts.update(rows)
        if attempt == 0:
            print(f"\n{results.machine}")
        check_bounds.print_times(results)
        check_bounds.print_verdicts([(bound, rows[bound["name"]]) for bound in open_bounds])
        open_bounds = [bound for bound in open_bounds if rows[bound["name"]][0] == "failed"]
        if not open_bounds:
            break
    kinds = [verdict[0] for verdict in verdicts.values()]
    print(f"\nbounds: {kinds.count('passed')} passed, {kinds.count('failed')} failed, "
          f"{kinds.count('skipped')} skipped")
    return 1 if check and "failed" in kinds else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
