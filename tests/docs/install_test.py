#!/usr/bin/env python3
"""Installs a build into an empty folder and uses it as the README says.

usage: install_test.py ROOT BUILD COMPILER...

The first program of the README is built by the README's own line, which is the one that asks
pkg-config, run, and its output compared. Exits 77 with the reason where that cannot be tried.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # leaves nothing in the source tree

import examples

LIMIT_S = 240


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def fail(what, *details):
    print(f"FAILED: {what}")
    for each in details:
        print(each)
    sys.exit(1)


def build_line(text):
    """The README's line that builds a program."""
    for _, language, content in examples.blocks(text):
        for line in content.splitlines():
            if language == "sh" and "$(pkg-config --cflags --libs pinion)" in line:
                return line
    fail("the README has no line that builds with pkg-config")


def install(build, prefix):
    meson = shlex.split(os.environ.get("MESON", "")) or ["meson"]
    if not shutil.which(meson[0]):
        skip(f"{meson[0]} is not installed")
    done = subprocess.run([*meson, "install", "-C", str(build), "--no-rebuild", "--destdir",
                           str(prefix)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S)
    if done.returncode != 0:
        fail("meson install", done.stdout)


def environment_of(prefix):
    """What stands for an installation below / that the linker has been told of."""
    configurations = sorted(prefix.rglob("pinion.pc"))
    libraries = sorted(prefix.rglob("libpinion.so"))
    if len(configurations) != 1 or len(libraries) != 1:
        fail("installed are", configurations, libraries)
    return dict(os.environ, PKG_CONFIG_PATH=str(configurations[0].parent),
                PKG_CONFIG_SYSROOT_DIR=str(prefix), PKG_CONFIG_ALLOW_SYSTEM_CFLAGS="1",
                PKG_CONFIG_ALLOW_SYSTEM_LIBS="1", LD_LIBRARY_PATH=str(libraries[0].parent))


def main(arguments):
    if len(arguments) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    root, build = Path(arguments[0]).resolve(), Path(arguments[1]).resolve()
    if not shutil.which("pkg-config"):
        skip("pkg-config is not installed")
    text = (root / "README.md").read_text(encoding="utf-8")
    line = build_line(text)
    # The same line, but for the compiler of this build and what its sanitizers need.
    words = line.split(" ")
    if words[0] != "g++":
        fail(f"the line does not begin with g++: {line}")
    words[0] = shlex.join(arguments[2:])
    source = next(word for word in words if word.endswith(".cpp"))
    program = words[words.index("-o") + 1]
    _, code, expected = next(examples.programs(text))
    with tempfile.TemporaryDirectory() as folder:
        prefix, scratch = Path(folder) / "root", Path(folder) / "work"
        prefix.mkdir()
        scratch.mkdir()
        install(build, prefix)
        environment = environment_of(prefix)
        (scratch / source).write_text(code)
        status, printed, errors = examples.run(["sh", "-c", " ".join(words)], LIMIT_S, cwd=scratch,
                                               env=environment)
        if status != 0:
            fail(f"{line} (exit status {status})", printed, errors)
        wrong = examples.judge(*examples.run([f"./{program}"], LIMIT_S, cwd=scratch,
                                             env=environment), expected)
        if wrong:
            fail("the program", wrong)
        commands = sorted(prefix.rglob("bin/pinion"))
        if commands:
            status, printed, errors = examples.run([str(commands[0]), "topo"], LIMIT_S,
                                                   env=environment)
            if status != 0 or "worker 0" not in printed:
                fail(f"the installed command (exit status {status})", printed, errors)
    print("installed, built by the README's line, and run")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
