#!/usr/bin/env python3
"""Searches a Promela model with Spin, as it is and with each of its seeded bugs.

Usage: check.py SPIN MODEL.pml

The model's head comment names its cases and bugs; -DCASE_X and -DBUG_X select them. Each case must
have no error, in a complete search, and together they must pass every REACH mark. Each bug must
lead to an error, in every case that stands behind its name: to the violation of the assertion that
stands under "Found by" (a part of it, as pan prints it, without spaces). Ends with 0, 1, or 77 where
Spin is missing.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

MEGABYTES_MAX = 500
SECONDS_MAX = 100
DEPTH_MAX = 20000
# A process that is blocked at the end is no error by itself (-E): each model has a judge, which
# waits for that moment and says what must hold then. It has a mark, so it cannot be forgotten.
SEARCH = ["-E", f"-m{DEPTH_MAX}", "-w22"]


class Failure(Exception):
    pass


def command(arguments, folder):
    """What a program prints."""
    try:
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True,
                              timeout=SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"{os.path.basename(arguments[0])} took more than {SECONDS_MAX} s")
    return done.returncode, done.stdout + done.stderr


# ---------------------------------------------------------------- what a model says of itself

ENTRY = re.compile(r"^ \*   (\w+)(?: \(([\w, ]+)\))? +\S")


def entries(text, heading):
    """name: [cases], of the list under ` * Heading` in the head comment."""
    found = {}
    inside = False
    for line in text.split("*/")[0].split("\n"):
        if line == f" * {heading}":
            inside = True
        elif inside and (match := ENTRY.match(line)):
            found[match.group(1)] = re.split(", *", match.group(2)) if match.group(2) else []
        else:
            inside = False
    return found


def assertions(text):
    """bug: the assertion that it violates, of the list under ` * Found by`."""
    lines = text.split("*/")[0].split("\n")
    if " * Found by" not in lines:
        return {}
    found = {}
    for line in lines[lines.index(" * Found by") + 1:]:
        match = re.match(r"^ \*   (\w+) +(\S.*)$", line)
        if not match:
            break
        found[match.group(1)] = without_spaces(match.group(2))
    return found


def without_spaces(text):
    return re.sub(r"\s", "", text)


def selected(text, prefix):
    """What its conditionals ask for."""
    names = set()
    for line in text.split("\n"):
        if re.match(r"\s*#\s*(if|elif)", line):
            names.update(re.findall(rf"\b{prefix}_(\w+)", line))
    return names


class Model:
    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.name = os.path.splitext(os.path.basename(path))[0]
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.cases = list(entries(text, "Cases")) or [""]
        self.bugs = entries(text, "Bugs")
        self.assertions = assertions(text)
        if set(self.assertions) != set(self.bugs):
            unclear = min(set(self.assertions) ^ set(self.bugs))
            raise Failure(f"the head comment does not say by which assertion {unclear} is found")
        self.marks = {number: match.group(1) for number, line in enumerate(text.split("\n"), 1)
                      if (match := re.search(r'\bREACH\("([^"]*)"\)', line))}
        for what, listed, asked in (("case", set(self.cases) - {""}, selected(text, "CASE")),
                                    ("bug", set(self.bugs), selected(text, "BUG"))):
            if asked - listed:
                raise Failure(f"the head comment does not name the {what} {min(asked - listed)}")
            if what == "bug" and listed - asked:
                raise Failure(f"nothing depends on the bug {min(listed - asked)}")
        for bug, cases in self.bugs.items():
            self.bugs[bug] = cases or self.cases
            if set(self.bugs[bug]) - set(self.cases):
                raise Failure(f"the bug {bug} is to be found in a case that there is not")
        if not self.bugs or not self.marks:
            raise Failure("a model without bugs or without marks proves nothing")


# ---------------------------------------------------------------- one search


class Search:
    """Builds and runs the verifier of one variant."""

    def __init__(self, spin, compiler, model, defines, optimise):
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            code, text = command([spin, "-a", *defines, model.path], folder)
            if code != 0 or not os.path.exists(os.path.join(folder, "pan.c")):
                raise Failure("spin: " + text.strip())
            code, errors = command(
                [compiler, optimise, "-w", "-DSAFETY", f"-DMEMLIM={MEGABYTES_MAX}", "-o", "pan",
                 "pan.c"], folder)
            if code != 0:
                raise Failure("the compiler: " + errors.strip())
            _, self.text = command(["./pan", *SEARCH], folder)
        self.seconds = time.monotonic() - begin
        errors = re.search(r"errors: (\d+)", self.text)
        states = re.search(r"([\d.e+]+) states, stored", self.text)
        if errors is None or states is None:
            raise Failure("the search ended without a result: " + self.text.strip()[-300:])
        self.errors = int(errors.group(1))
        self.states = int(float(states.group(1)))

    def error(self):
        """The first one; empty if there was none."""
        if self.errors == 0:
            return ""
        return re.search(r"pan:\d+: (.*)", self.text).group(1)

    def require_complete(self):
        for sign in ("Search not completed", "max search depth too small", "reached -DMEMLIM",
                     "out of memory", "resizing hashtable failed"):
            if sign in self.text:
                raise Failure(f"the search is not complete: {sign}")

    def reached(self):
        """The lines of the marks that it has passed (reach.inc)."""
        return {int(line) for line in re.findall(r"^reached line (\d+)$", self.text, re.MULTILINE)}


# ---------------------------------------------------------------- a model


def defines(case, bug=None):
    return [f"-DCASE_{case}"] * bool(case) + [f"-DBUG_{bug}"] * bool(bug)


def check(spin, compiler, model):
    """Failures, as texts. Prints a line for each search."""
    failures = []

    def report(what, result):
        print(f"{model.name}: {what}: {result}", flush=True)

    def attempt(what, search):
        try:
            search()
        except Failure as failure:
            failures.append(what)
            report(what, f"FAILED: {failure}")

    reached = set()

    def without_bugs(case):
        search = Search(spin, compiler, model, defines(case), "-O1")
        if search.errors != 0:
            raise Failure(search.error())
        search.require_complete()
        reached.update(search.reached())
        report(case or "as it is", f"no error in {search.states} states, {search.seconds:.1f} s")

    def with_bug(bug, case):
        search = Search(spin, compiler, model, defines(case, bug), "-O0")
        if search.errors == 0:
            search.require_complete()
            raise Failure(f"not found in {search.states} states")
        if model.assertions[bug] not in without_spaces(search.error()):
            raise Failure(f"found by another assertion: {search.error()}")
        report(f"{case + ' ' if case else ''}with the bug {bug}",
               f"found: {search.error()}, {search.seconds:.1f} s")

    for case in model.cases:
        attempt(case or "as it is", lambda: without_bugs(case))
    for bug, cases in model.bugs.items():
        for case in cases:
            attempt(f"{case} with the bug {bug}".strip(), lambda: with_bug(bug, case))
    for line, text in model.marks.items():
        if line not in reached:
            failures.append(text)
            report("marks", f"FAILED: never reached, line {line}: {text}")
    report("marks", f"{len(reached & set(model.marks))} of {len(model.marks)} reached")
    return failures


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    spin = shutil.which(arguments[0]) if arguments[0] else None
    compiler = shutil.which("gcc") or shutil.which("cc")
    if spin is None:
        skip("there is no spin (Debian: apt-get install spin)")
    if "Spin Version" not in command([spin, "-V"], None)[1]:
        skip(f"{spin} is another program of that name")
    if compiler is None:
        skip("there is no C compiler for what spin generates")
    try:
        model = Model(arguments[1])
    except Failure as failure:
        print(f"{arguments[1]}: FAILED: {failure}")
        return 1
    return 1 if check(spin, compiler, model) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
