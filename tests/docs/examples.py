#!/usr/bin/env python3
"""Compiles and runs the examples of the documentation, and compares what they print.

usage: examples.py ROOT LIBRARY COMMAND COMPILER...
       examples.py --self-test

ROOT      the source tree: README.md and docs/*.md are read
LIBRARY   the shared library of the build
COMMAND   the command `pinion` of the build, or "-" where there is none
COMPILER  the words of the compiler, with what a user of this build must give

Every block ```cpp is a complete program, and the next block, ```text, is what it prints. In a block
```console, lines "$ ..." are commands, and what follows each is what it prints; they share a folder.
A program that begins with a comment "// NAME.cpp" is not run by itself but lies in the PATH of the
page's commands as NAME; what the page's line that builds it asks pkg-config for, it gets. Exits 1 if
an example fails.
"""

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

COMPILE_LIMIT_S = 240
RUN_LIMIT_S = 60
FENCE = re.compile(r"^(`{3,})\s*([^\s`]*)\s*$")
NAME = re.compile(r"// (\w+)\.cpp\n")
PACKAGES = re.compile(r"\$\(pkg-config --cflags --libs pinion ([^)]*)\)")


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
        if NAME.match(source):
            continue
        if after[1] != "text":
            raise ValueError(f"line {line}: a program without its output, ```text, behind it")
        yield line, source, after[2]


def named_programs(text):
    """(line, name, source, packages) of every program that the page's commands call."""
    found = list(blocks(text))
    for line, language, source in found:
        name = NAME.match(source) if language == "cpp" else None
        if not name:
            continue
        builds = [row for _, other, content in found if other == "sh"
                  for row in content.splitlines() if f" {name[1]}.cpp " in row]
        if len(builds) != 1:
            raise ValueError(f"line {line}: {len(builds)} lines build {name[1]}.cpp, not one")
        packages = PACKAGES.search(builds[0])
        yield line, name[1], source, packages[1].split() if packages else []


def sessions(text):
    """[(line, command, output)] of every console block, by the line of the block."""
    for line, language, content in blocks(text):
        if language == "console":
            yield line, list(commands(line, content))


def commands(line, content):
    """(line, command, output) of every command of the block at `line`."""
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


def flags_of(packages):
    """What the compiler needs for them; None where one is not installed."""
    if not packages:
        return []
    if not shutil.which("pkg-config"):
        return None
    status, printed, _ = run(["pkg-config", "--cflags", "--libs", *packages], RUN_LIMIT_S)
    return printed.split() if status == 0 else None


def compile_program(source, root, library, compiler, flags, program):
    """What is wrong with a program; None if nothing."""
    path = program.with_suffix(".cpp")
    path.write_text(source)
    argv = compiler + ["-std=c++20", "-Wall", "-Wextra", f"-I{root / 'include'}", path.name,
                       str(library), f"-Wl,-rpath,{library.parent}", "-Wl,--build-id", *flags,
                       "-o", str(program)]
    status, printed, errors = run(argv, COMPILE_LIMIT_S, cwd=program.parent)
    if status != 0:
        return f"it does not compile (exit status {status})\n{printed}{errors}"
    if errors:
        return f"it compiles with warnings\n{errors}"
    return None


def try_command(command, expected, folders, scratch):
    path = ":".join([*map(str, folders), os.environ.get("PATH", "/usr/bin:/bin")])
    environment = dict(os.environ, PATH=path)
    return judge(*run(["sh", "-c", command], RUN_LIMIT_S, cwd=scratch, env=environment), expected)


class Pages:
    """Tries the examples of page after page, and counts."""

    def __init__(self, root, library, tool, compiler):
        self.root, self.library, self.tool, self.compiler = root, library, tool, compiler
        self.count = self.failures = 0

    def report(self, line, wrong):
        self.count += 1
        self.failures += wrong is not None
        print(f"{self.page}:{line}: {'ok' if wrong is None else 'FAILED'}", flush=True)
        if wrong is not None:
            print(wrong, flush=True)

    def left_out(self, line, reason):
        print(f"{self.page}:{line}: left out: {reason}", flush=True)

    def build(self, source, program, flags):
        return compile_program(source, self.root, self.library, self.compiler, flags, program)

    def try_page(self, path):
        self.page = path.relative_to(self.root)
        text = path.read_text(encoding="utf-8")
        for line, source, expected in programs(text):
            with tempfile.TemporaryDirectory() as scratch:
                program = Path(scratch) / "example"
                wrong = self.build(source, program, [])
                self.report(line, wrong or judge(*run([str(program)], RUN_LIMIT_S, cwd=scratch),
                                                 expected))
        with tempfile.TemporaryDirectory() as built:
            reason = self.build_named(text, Path(built))
            for line, steps in sessions(text):
                if reason:
                    self.left_out(line, reason)
                    continue
                folders = [built] + ([self.tool.parent] if self.tool else [])
                with tempfile.TemporaryDirectory() as scratch:
                    for at, command, expected in steps:
                        self.report(at, try_command(command, expected, folders, scratch))

    def build_named(self, text, folder):
        """Builds what the page's commands call. Why they cannot run, or None."""
        names = list(named_programs(text))
        for line, name, source, packages in names:
            flags = flags_of(packages)
            if flags is None:
                return f"{' '.join(packages)} is not installed"
            wrong = self.build(source, folder / name, flags)
            self.report(line, wrong)
            if wrong:
                return f"{name} does not compile"
        return None if names or self.tool else "the command is not built"


def self_test():
    """Whether blocks are found as they stand, and bad ones refused."""
    text = "a\n```cpp\nint main() {}\n```\nb\n```text\n1\n```\n```console\n$ x\ny\n$ z\n```\n"
    assert list(programs(text)) == [(2, "int main() {}\n", "1\n")]
    assert list(sessions(text)) == [(9, [(10, "x", "y\n"), (12, "z", "")])]
    named = "```cpp\n// a_b.cpp\nint main() {}\n```\n"
    line = "```sh\ng++ a_b.cpp $(pkg-config --cflags --libs pinion one two) -o a_b\n```\n"
    assert not list(programs(named))
    assert [each[1::2] for each in named_programs(named + line)] == [("a_b", ["one", "two"])]
    for bad in (named, named + line + line, "```cpp\nint main() {}\n```\n",
                "```cpp\nint f();\n```\n```text\n```\n", "```cpp\nint main() {}\n", "```cpp\nint main() {}\n```\n```sh\n```\n"):
        try:
            list(programs(bad)) + list(named_programs(bad))
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
    pages = Pages(root, library, tool, arguments[3:])
    for path in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        pages.try_page(path)
    print(f"{pages.count} examples, {pages.failures} failed")
    return 1 if pages.failures or pages.count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
