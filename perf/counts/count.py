#!/usr/bin/env python3
"""Counts what one small task costs: allocations, system calls, instructions, idle CPU time.

usage: count.py FOLDER OUT.json [--quick]

FOLDER holds the programs perf_allocations, perf_tasks and perf_idle. System calls need strace,
instructions valgrind; what cannot be counted is listed with the reason. --quick leaves the
instructions out.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT_S = 300
LOAD_TASKS = 200_000
IDLE_S = 10
BATCHES = 20, 420  # what their difference leaves out: the start, and the first calls
REPEATS = 3


class NotHere(Exception):
    """What counts is missing or not allowed on this machine, or was not asked for."""


class Broken(Exception):
    """What is counted failed."""


def output_of(*argv):
    try:
        done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=LIMIT_S)
    except OSError as error:
        raise Broken(str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{Path(argv[0]).name} ran longer than {LIMIT_S} s") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Broken(f"{Path(argv[0]).name} ended with {done.returncode}: {last}")
    return done.stdout


def need(tool, *options):
    if shutil.which(tool) is None:
        raise NotHere(f"{tool} is not installed")
    try:
        output_of(tool, *options, "/bin/true")
    except Broken as error:
        raise NotHere(f"{tool} does not work here: {error}") from error


def allocations(folder):
    manager, worker = output_of(folder / "perf_allocations").split()
    return {"allocations_manager": float(manager), "allocations_worker": float(worker)}


def calls_of(folder, tasks):
    """System calls of all processes of a run, start and end included."""
    with tempfile.TemporaryDirectory() as scratch:
        summary = Path(scratch) / "summary"
        output_of("strace", "-f", "-c", "-U", "name,calls", "-o", summary,
                  folder / "perf_tasks", "load", tasks)
        total = re.search(r"^\s*total\s+(\d+)", summary.read_text(), re.MULTILINE)
    if total is None:
        raise Broken("strace printed no total")
    return int(total.group(1))


def system_calls(folder):
    need("strace", "-f", "-c", "-U", "name,calls", "-o", "/dev/null")
    few = calls_of(folder, 0)
    return {"system_calls": max(0, calls_of(folder, LOAD_TASKS) - few) / LOAD_TASKS}


def collected(folder, batches, size, *options):
    """Instructions by process, {"manager": n, "worker": n}, of `perf_tasks stopped`: the least of
    some runs, since a wake-up at another moment only adds to them."""
    runs = [collected_once(folder, batches, size, *options) for _ in range(REPEATS)]
    return {name: min(run[name] for run in runs) for name in ("manager", "worker")}


def collected_once(folder, batches, size, *options):
    with tempfile.TemporaryDirectory() as scratch:
        pattern = Path(scratch) / "out.%p"
        worker = int(output_of("valgrind", "--tool=callgrind", f"--callgrind-out-file={pattern}",
                               *options, folder / "perf_tasks", "stopped", batches, size))
        totals = {}
        for path in Path(scratch).glob("out.*"):
            text = path.read_text(errors="replace")
            total = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
            name = "worker" if path.name == f"out.{worker}" else path.name
            totals[name] = int(total.group(1)) if total else 0
    if "worker" not in totals:
        raise Broken("the worker left no counts")
    # Of the rest only the manager runs what is collected; the nursery's share is constant.
    totals["manager"] = sum(count for name, count in totals.items() if name != "worker")
    return totals


# What a caller does, and what a worker does with a task: neither its start nor how it sleeps.
TOGGLES = ("perf_submit", "perf_take", "pinion::workers::Worker::run_task*")


def instructions(folder):
    need("valgrind", "--tool=none")
    options = [f"--toggle-collect={name}" for name in TOGGLES]

    def of_batch(size):
        few, many = (collected(folder, batches, size, *options) for batches in BATCHES)
        return {side: (many[side] - few[side]) / (BATCHES[1] - BATCHES[0]) for side in few}

    # What one more task in flight costs: a batch of two without what one costs alone, which sleeps
    # and wakes. A worker is always given two; how many more depends on time, which valgrind bends.
    one, two = of_batch(1), of_batch(2)
    result = {}
    for side in one:
        result[f"instructions_alone_{side}"] = one[side]
        result[f"instructions_async_{side}"] = two[side] - one[side]
    return result


def idle(folder):
    return {"idle_cpu_percent": float(output_of(folder / "perf_idle", IDLE_S))}


COUNTS = {
    allocations: ["allocations_manager", "allocations_worker"],
    system_calls: ["system_calls"],
    instructions: ["instructions_alone_manager", "instructions_alone_worker",
                   "instructions_async_manager", "instructions_async_worker"],
    idle: ["idle_cpu_percent"],
}


def main(arguments):
    quick = "--quick" in arguments
    paths = [word for word in arguments if not word.startswith("-")]
    if len(paths) != 2 or "--help" in arguments:
        print(__doc__.strip())
        return 2
    folder = Path(paths[0]).resolve()
    counted, skipped, broken = {}, {}, {}
    for count, names in COUNTS.items():
        try:
            if quick and count is instructions:
                raise NotHere("left out of a quick run")
            found = count(folder)
            counted.update({f"counts/{name}": value for name, value in found.items()})
        except NotHere as reason:
            skipped.update({f"counts/{name}": str(reason) for name in names})
        except Broken as reason:
            broken.update({f"counts/{name}": str(reason) for name in names})
    found = {"counted": counted, "skipped": skipped, "broken": broken}
    Path(paths[1]).write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
