#!/usr/bin/env python3
"""Compiles and runs the examples of the documentation, and compares what they print.

usage: examples.py ROOT LIBRARY COMMAND COMPILER...
       examples.py --self-test

ROOT      the source tree: README.md and docs/*.md are read
LIBRARY   the shared library of the build
COMMAND   the command `pinion` of the build, or "-" where there is none
COMPILER  the words of the compiler, with what a user of this build must give

Every block ```cpp is a complete program, and the next block, ```text, is what it prints. In a block
```console, lines "$ ..." are commands, and what follows each is what it prints. Exits 1 if an
example fails.
"""

import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

COMPILE_LIMIT_S = 240
RUN_LIMIT_S = 60
FENCE = re.compile(r"^(`{3,})\s*([^\s`]*)\s*$")


def blocks(text):
    """(line, language, content) of every fenced block."""
    lines = text.split("\n")
    start = None
    for number, line in enumerate(lines):
        match = FENCE.match(line)
        if start is None and match:
            start, fence, language = number, match.group(1), match.group(2)
        elif start is not None and line.rstrip() == fence:
            content = lines[start + 1:number]
            yield start + 1, language, "".join(each + "\n" for each in content)
            start = None
    if start is not None:
        raise ValueError(f"line {start + 1}: a block that does not end")


def programs(text):
    """(line, source, output) of every program; ValueError where its output is missing."""
    found = list(blocks(text))
    for (line, language, source), after in zip(found, found[1:] + [(0, "", "")]):
        if language != "cpp":
            continue
        if "int main(" not in source:
            raise ValueError(f"line {line}: a program without main")
        if after[1] != "text":
            raise ValueError(f"line {line}: a program without its output, ```text, behind it")
        yield line, source, after[2]


def sessions(text):
    """(line, command, output) of every command in a console block."""
    for line, language, content in blocks(text):
        if language != "console":
            continue
        command = None
        for number, each in enumerate(content.splitlines(), line + 1):
            if each.startswith("$ "):
                if command is not None:
                    yield place, command, output
                place, command, output = number, each[2:], ""
            elif command is None:
                raise ValueError(f"line {number}: a console block begins with a command")
            else:
                output += each + "\n"
        if command is not None:
            yield place, command, output


def difference(expected, found):
    lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), "documented", "printed",
                                 lineterm="")
    return "\n".join(lines)


def run(argv, limit_s, **options):
    """(exit status, output, errors); the status is a text where it ran too long."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=limit_s, text=True, **options)
        return done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired:
        return f"none within {limit_s} s", "", ""


def judge(status, printed, errors, expected):
    """What is wrong with an example; None if nothing."""
    if status != 0:
        return f"exit status {status}\n{printed}{errors}"
    if printed != expected:
        return difference(expected, printed)
    return None


def try_program(source, expected, root, library, compiler, scratch):
    program = scratch / "example"
    (scratch / "example.cpp").write_text(source)
    argv = compiler + ["-std=c++20", "-Wall", "-Wextra", f"-I{root / 'include'}", "example.cpp",
                       str(library), f"-Wl,-rpath,{library.parent}", "-Wl,--build-id", "-o",
                       str(program)]
    status, printed, errors = run(argv, COMPILE_LIMIT_S, cwd=scratch)
    if status != 0:
        return f"it does not compile (exit status {status})\n{printed}{errors}"
    if errors:
        return f"it compiles with warnings\n{errors}"
    return judge(*run([str(program)], RUN_LIMIT_S, cwd=scratch), expected)


def try_command(command, expected, tool, scratch):
    environment = dict(os.environ, PATH=f"{tool.parent}:{os.environ.get('PATH', '/usr/bin:/bin')}")
    return judge(*run(["sh", "-c", command], RUN_LIMIT_S, cwd=scratch, env=environment), expected)


def self_test():
    """Whether blocks are found as they stand, and bad ones refused."""
    text = "a\n```cpp\nint main() {}\n```\nb\n```text\n1\n```\n```console\n$ x\ny\n$ z\n```\n"
    assert list(programs(text)) == [(2, "int main() {}\n", "1\n")]
    assert list(sessions(text)) == [(10, "x", "y\n"), (12, "z", "")]
    for bad in ("```cpp\nint main() {}\n```\n", "```cpp\nint f();\n```\n```text\n```\n",
                "```cpp\nint main() {}\n", "```cpp\nint main() {}\n```\n```sh\n```\n"):
        try:
            list(programs(bad))
        except ValueError:
            continue
        raise AssertionError(f"accepted: {bad!r}")
    assert judge(0, "1\n", "", "1\n") is None
    assert judge(0, "2\n", "", "1\n") and judge(1, "1\n", "", "1\n")


def main(arguments):
    if arguments == ["--self-test"]:
        self_test()
        return 0
    if len(arguments) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    root, library = Path(arguments[0]).resolve(), Path(arguments[1]).resolve()
    tool = None if arguments[2] == "-" else Path(arguments[2]).resolve()
    compiler = arguments[3:]
    count = failures = 0

    def report(path, line, wrong):
        nonlocal count, failures
        count += 1
        failures += wrong is not None
        print(f"{path.relative_to(root)}:{line}: {'ok' if wrong is None else 'FAILED'}", flush=True)
        if wrong is not None:
            print(wrong, flush=True)

    for path in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        for line, source, expected in programs(text):
            with tempfile.TemporaryDirectory() as scratch:
                report(path, line, try_program(source, expected, root, library, compiler,
                                               Path(scratch)))
        for line, command, expected in sessions(text):
            if tool is None:
                print(f"{path.relative_to(root)}:{line}: left out, since the command is not built")
                continue
            with tempfile.TemporaryDirectory() as scratch:
                report(path, line, try_command(command, expected, tool, Path(scratch)))
    print(f"{count} examples, {failures} failed")
    return 1 if failures or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
