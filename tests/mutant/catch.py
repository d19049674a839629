#!/usr/bin/env python3
"""Runs a test program that is linked with the library of the mutants, with each fault that it is to
see: it must fail, by the check that is for that fault and by no other. Without a fault it must pass.

usage: catch.py PROGRAM NAME [MUTANT]
"""

import os
import re
import subprocess
import sys

SECONDS_MAX = 120

# program: (mutant, "test case" or "test case / subcase", the check that fails, or those of which one
# does[, attempts]). What is no test case, but arguments, is a list.
CAUGHT = {
    "late_wakeups": [
        ("lost_bell", "a worker that sleeps is rung for a task", ["scene.late() == 0"]),
        ("lost_bell", "a worker that sleeps in its loop is rung for a task",
         ["scene.late() == 0"]),
        ("lost_bell", "a worker that can take no more is rung for what else there is",
         ["scene.late() == 0"]),
        ("lost_bell", "a caller that collects is rung for a result", ["late == 0"]),
        ("lost_bell", "a service thread that collects is rung for results", ["late == 0"]),
        ("lost_telling", "a caller on the list is told of its result", ["scene.late() == 0"]),
        ("lost_baton", "a caller on the list gets the baton of one that leaves",
         ["scene.late() == 0"]),
        ("lost_service", "the service thread is told that nobody collects",
         ["scene.late() == 0"]),
    ],
    "step_kill": [
        ("early_publish", "a small result / nobody waits for",
         ["lost.cause() == pinion::WorkerLost::Cause::death"]),
        ("claim_after_run", "a small result / nobody waits for", ["mark.starts == 1"]),
    ],
    "generations": [
        ("segment_reused",
         "who still writes to a dead worker's results does not reach its successor",
         ["as_computed"]),
        ("positions_restarted",
         "positions go on over respawns: an old slot is never taken for a new one",
         ["broke the protocol of the shared memory"]),
        ("no_credit", "what a busy worker is to be told waits for room in its ring",
         ["get(5s) == i"]),
    ],
    "liars": [
        ("double_fetch", "what changes while the manager looks at it is used as it was checked",
         ["as_checked"]),
        ("unchecked_end", "a worker that tells a lie is replaced, or ends, and harms nobody else",
         ["pool.stats().protocol_breaches == breaches"]),
    ],
    # Within a hundred nanoseconds before a sleep: five of six runs come by.
    "races": [
        ("silent_bell", "bells: bursts with pauses about as long as one looks for work",
         ["late_wakeups == 0"], 6),
    ],
    "segment": [
        ("no_generation", "a segment with another header is refused, and the sentence says why",
         ["it belongs to another pool"]),
    ],
    "hostile_arena": [
        ("unchecked_end", ["3"], ["hostile arena: a value lies outside its worker's memory"]),
    ],
}


def run(program, what, mutant):
    """Exit status and output."""
    if isinstance(what, list):
        arguments = what
    else:
        case, _, subcase = what.partition(" / ")
        # A comma would end a name. The first failure is the one that counts.
        arguments = ["--no-colors", "--abort-after=1", "--test-case=" + case.replace(",", "?")]
        if subcase:
            arguments.append(f"--subcase={subcase}")
    environment = dict(os.environ, PINION_TEST_MUTANT=mutant)
    try:
        done = subprocess.run([program, *arguments], env=environment, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired as expired:
        return None, str(expired.stdout or "")
    return done.returncode, done.stdout


def failures(output):
    """What failed: an error's line and those behind it, up to an empty one."""
    found = []
    for block in re.split(r"\n\s*\n", output):
        match = re.search(r"(?:ERROR|hostile arena): .*", block, re.DOTALL)
        if match:
            found.append(match.group(0))
    return found


def judge(program, mutant, what, expected, attempts=1):
    """A failure of this proof, or None."""
    code, output = run(program, what, "none")
    if code != 0:
        return f"without a fault it fails:\n{output[-3000:]}"
    if not isinstance(what, list) and re.search(r"test cases:\s+0 \|", output):
        return "there is no such test case"
    if re.search(r"^skipped", output, re.MULTILINE | re.IGNORECASE):
        print(f"skipped {mutant}: {what}: it cannot run here", flush=True)
        return None
    for _ in range(attempts):
        code, output = run(program, what, mutant)
        if code != 0:
            break
    if code is None:
        return f"it did not end:\n{output[-3000:]}"
    if code == 0:
        return "not found"
    failed = failures(output)
    if not failed or not any(text in failed[0] for text in expected):
        return f"found, but not by its check:\n{output[-3000:]}"
    print(f"{mutant}: found by: {failed[0].splitlines()[0]}", flush=True)
    return None


def main(arguments):
    if len(arguments) not in (2, 3) or arguments[1] not in CAUGHT:
        print(__doc__, file=sys.stderr)
        return 2
    program, name = arguments[:2]
    wrong = 0
    for mutant, *scene in CAUGHT[name]:
        if len(arguments) == 3 and arguments[2] != mutant:
            continue
        failure = judge(program, mutant, *scene)
        if failure is not None:
            wrong += 1
            print(f"FAILED: {mutant}: {scene[0]}: {failure}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
