#!/usr/bin/env python3
"""Runs a test within a bound of time.

usage: bounded.py SECONDS PROGRAM [ARGUMENT...]

The program gets a seed (PINION_TEST_SEED, printed, kept where the caller has set one). If it has
not ended after SECONDS, or has ended and left processes behind, the stacks of all processes that it
started are printed, they are killed, and the test has failed (INV-5, INV-9). SECONDS are multiplied
by PINION_TEST_PATIENCE, for sanitizers. Exit status: the program's, 1 in those two cases, and
128 + the signal's number where it died by one.
"""

import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36

# A test may be run from where these are ignored (nohup, a shell's background), and they are inherited.
for _ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
    if signal.getsignal(_ignored) == signal.SIG_IGN:
        signal.signal(_ignored, signal.SIG_DFL)


def stat(pid):
    """(name, state, parent) of a process; None where there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            text = file.read()
    except OSError:
        return None
    name = text[text.index("(") + 1:text.rindex(")")]
    state, parent = text[text.rindex(")") + 2:].split()[:2]
    return name, state, int(parent)


def descendants(root):
    """Living processes below `root`, zombies not among them."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            found = stat(entry)
            if found is not None:
                parents.setdefault(found[2], []).append((int(entry), found[0], found[1]))
    result, left = [], [root]
    while left:
        for pid, name, state in parents.get(left.pop(), []):
            left.append(pid)
            if state not in "ZX":
                result.append((pid, name, state))
    return sorted(result)


def read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError as error:
        return f"({error.strerror})"


def show_stacks(processes):
    tool = shutil.which("eu-stack")
    for pid, name, state in processes:
        line = read(f"/proc/{pid}/cmdline").replace("\0", " ")
        print(f"--- {name} ({pid}), state {state}: {line}", flush=True)
        if tool is None:
            print("install elfutils for stacks in user space")
        else:
            try:
                done = subprocess.run([tool, "-p", str(pid)], text=True, timeout=20,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                print(done.stdout.rstrip())
            except subprocess.TimeoutExpired:
                print("(no stack: the process cannot be stopped)")
        tasks = f"/proc/{pid}/task"
        for tid in sorted(os.listdir(tasks) if os.path.isdir(tasks) else [], key=int):
            print(f"  thread {tid}: in {read(f'{tasks}/{tid}/wchan') or '0'}, "
                  f"system call {read(f'{tasks}/{tid}/syscall')}")
    sys.stdout.flush()


def kill(processes):
    for pid, _, _ in processes:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def left_behind():
    """What is still there some moments after the program's end."""
    until = time.monotonic() + 2
    while True:
        reap()
        left = descendants(os.getpid())
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.01)


def main():
    seconds = float(sys.argv[1]) * float(os.environ.get("PINION_TEST_PATIENCE", "1"))
    # A process that outlives its parent becomes ours, so that it is found.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.environ.setdefault("PINION_TEST_SEED", str(random.getrandbits(32)))
    print(f"PINION_TEST_SEED={os.environ['PINION_TEST_SEED']}", flush=True)
    program = subprocess.Popen(sys.argv[2:])
    try:
        code = program.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        print(f"not ended after {seconds:g} s; the stacks of all its processes:")
        processes = descendants(os.getpid())
        show_stacks(processes)
        kill(processes)
        program.wait()
        left_behind()
        return 1
    left = left_behind()
    if left:
        print("ended, and left processes behind:")
        show_stacks(left)
        kill(left)
        left_behind()
        return code or 1
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
