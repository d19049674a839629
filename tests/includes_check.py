#!/usr/bin/env python3
"""Holds the house to its rules: includes point down only, files stay small, and no clock but the
monotonic one is read.

Usage: includes_check.py ROOT | --self-test

Prints every violation as file:line and exits 1 if there is one.
"""

import os
import re
import sys
import tempfile

# ---------------------------------------------------------------- the house, in one place

# Plain public types: they count as floor 1, every floor may include them, and they include nothing
# of ours but each other.
PLAIN = {
    "pinion/detail/api.hpp",
    "pinion/errors.hpp",
    "pinion/ids.hpp",
    "pinion/info.hpp",
    "pinion/kinds.hpp",
    "pinion/placement.hpp",
    "pinion/scheduler.hpp",
    "pinion/time_limit.hpp",
}

# Public headers above floor 1 that a low floor may include nevertheless, since it implements them:
# the awaitables are declared where users see them, and lib/loop is what makes them work; so with
# the function that takes over a program which is started anew.
IMPLEMENTS = {
    "lib/loop": {
        "pinion/files.hpp",
        "pinion/io.hpp",
        "pinion/process.hpp",
        "pinion/run.hpp",
        "pinion/sleep.hpp",
        "pinion/sockets.hpp",
        "pinion/task.hpp",
        "pinion/task_group.hpp",
        "pinion/when_all.hpp",
        "pinion/when_any.hpp",
        "pinion/with_timeout.hpp",
        "pinion/yield.hpp",
        "pinion/detail/detached.hpp",
        "pinion/detail/frame_pool.hpp",
        "pinion/detail/io_awaiter.hpp",
        "pinion/detail/join.hpp",
        "pinion/detail/operation.hpp",
        "pinion/detail/scope.hpp",
        "pinion/detail/waiter.hpp",
    },
    "lib/start": {
        "pinion/init.hpp",
    },
}

# Folder: the folders that it may include besides itself and the plain headers.
# "include" stands for every public header, "include/public" for those outside detail/.
KNOWS = {
    "lib/os": [],
    "lib/ring": ["lib/os"],
    "lib/shm": ["lib/os", "lib/ring"],  # an arena is laid out in rings
    "lib/topology": ["lib/os"],
    "lib/loop": ["lib/os"],
    "lib/start": ["lib/os", "lib/ring", "lib/shm", "lib/topology"],
    "lib/pool": [
        "lib/os", "lib/ring", "lib/shm", "lib/topology", "lib/loop", "lib/start", "include",
    ],
    "workers": ["lib", "include"],
    "include": [],
    "tools": ["include/public"],
}

LINES_MAX = 420
INCLUDE_FOLDERS = ["include", "lib", "workers", "tools"]
LENGTH_FOLDERS = INCLUDE_FOLDERS + ["tests", "perf"]
CLOCK_FOLDERS = ["include", "lib", "workers"]
SUFFIXES = (".hpp", ".cpp", ".h", ".c", ".cc", ".hh", ".ipp", ".inl")
OUR_FOLDERS = ("lib", "workers", "tools", "tests", "perf", "include", "docs")

# ---------------------------------------------------------------- reading

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include(?:_next)?[ \t]*([<"])([^>"\n]+)[>"]')
# Line comments and strings are matched too, so that a /* in them opens nothing.
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def sources(root, folders):
    """Paths of the C++ files under the folders, relative to the root."""
    for folder in folders:
        for where, subfolders, names in os.walk(os.path.join(root, folder)):
            subfolders.sort()
            for name in sorted(names):
                if name.endswith(SUFFIXES):
                    yield os.path.relpath(os.path.join(where, name), root)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def includes(text):
    """(line, bracket, name) of every include that is not in a comment."""

    def blank_out(match):
        found = match.group()
        return "\n" * found.count("\n") if found.startswith("/*") else found

    blank = COMMENT_OR_STRING.sub(blank_out, text)
    for number, line in enumerate(blank.split("\n"), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


WALL_CLOCK = re.compile(r"\b(system_clock|CLOCK_REALTIME(_COARSE)?|gettimeofday)\b")


# ---------------------------------------------------------------- judging


def within(path, folder):
    return path == folder or path.startswith(folder + "/")


def home_of(path):
    """The folder of KNOWS that a file lies in; None for a file in none of them."""
    homes = [folder for folder in KNOWS if within(path, folder)]
    return max(homes, key=len, default=None)


def own_folder(path, home):
    """What a file may include without being told so: its floor; of the tools, each its own."""
    return "/".join(path.split("/")[:2]) if home == "tools" else home


def may_include(path, home, target):
    """Whether a file may include `target`, one of our files named from the root."""
    public = target[len("include/"):] if within(target, "include") else None
    if public in PLAIN:
        return True
    if within(path, "include") and path[len("include/"):] in PLAIN:
        return False
    if within(target, own_folder(path, home)) or public in IMPLEMENTS.get(home, ()):
        return True
    for known in KNOWS[home]:
        if known == "include/public":
            if public and not within(public, "pinion/detail"):
                return True
        elif within(target, known):
            return True
    return False


def check_include(path, home, bracket, name):
    """What is wrong with one include; None if nothing."""
    first = name.split("/")[0]
    if first == "pinion":
        if bracket == '"':
            return f'public headers are included as <{name}>'
        target = os.path.normpath("include/" + name)
    elif bracket == '"':
        # As the compiler has it: from the root, or beside the file that names it.
        beside = first not in OUR_FOLDERS
        target = os.path.normpath(os.path.join(os.path.dirname(path) if beside else "", name))
    elif first in ("lib", "workers"):
        return f'our own files are included as "{name}"'
    else:
        return None
    if may_include(path, home, target):
        return None
    return f"{home} may not include {name}: includes point down only"


def violations(root):
    """All of them, as "file:line: text"."""
    found = []
    for path in sources(root, INCLUDE_FOLDERS):
        home = home_of(path)
        if home is None:
            found.append(f"{path}:1: lies in no folder of the house; add it to KNOWS")
            continue
        for line, bracket, name in includes(read(root, path)):
            wrong = check_include(path, home, bracket, name)
            if wrong:
                found.append(f"{path}:{line}: {wrong}")
    for path in sources(root, CLOCK_FOLDERS):
        for line, text in enumerate(read(root, path).split("\n"), 1):
            if WALL_CLOCK.search(text):
                found.append(f"{path}:{line}: the wall clock jumps; use lib/os/clock.hpp")
    for path in sources(root, LENGTH_FOLDERS):
        lines = read(root, path).count("\n")
        if lines > LINES_MAX:
            found.append(f"{path}:{LINES_MAX + 1}: {lines} lines; a file holds {LINES_MAX} at most")
    return found


# ---------------------------------------------------------------- the check of the check

GOOD = {
    "include/pinion/errors.hpp": "#include <pinion/detail/api.hpp>\n#include <string>\n",
    "include/pinion/pool.hpp": "#include <pinion/detail/chunk.hpp>\n#include <pinion/errors.hpp>\n",
    "include/pinion/detail/chunk.hpp": "#include <pinion/kinds.hpp>\n",
    "lib/os/fd.cpp": '#include "lib/os/fd.hpp"\n#include <pinion/errors.hpp>\n#include <fcntl.h>\n',
    "lib/ring/ring.hpp": '#include "lib/os/futex.hpp"\n',
    "lib/shm/arena.hpp": '#include "lib/ring/ring.hpp"\n',
    "lib/loop/loop.cpp": '#include <pinion/task.hpp>\n#include "lib/os/fd.hpp"\n',
    "lib/start/init.cpp": "#include <pinion/init.hpp>\n",
    "lib/start/fork.cpp": '#include "lib/shm/arena.hpp"\n#include "lib/topology/places.hpp"\n',
    "lib/pool/pool.cpp": '#include <pinion/detail/chunk.hpp>\n#include "lib/start/fork.hpp"\n',
    "workers/main.cpp": '#include "lib/loop/loop.hpp"\n#include <pinion/detail/chunk.hpp>\n',
    "tools/command/main.cpp": '#include <pinion/pool.hpp>\n#include "tools/command/topo.hpp"\n',
    "tools/command/topo.cpp": '#include "topo.hpp"\n',
    "lib/os/comment.hpp": '// #include "lib/pool/pool.hpp"\n/*\n#include "lib/pool/pool.hpp"\n*/\n',
    "tests/long_but_allowed.cpp": "\n" * LINES_MAX,
}

# One file each, whose last line breaks one rule.
BAD = {
    "include/pinion/kinds.hpp": "#include <pinion/pool.hpp>",
    "include/pinion/info.hpp": "#include <pinion/detail/chunk.hpp>",
    "include/pinion/stream.hpp": '#include "lib/pool/pool.hpp"',
    "include/pinion/detail/call.hpp": '#include "lib/os/fd.hpp"',
    "include/pinion/quoted.hpp": '#include "pinion/errors.hpp"',
    "lib/os/up.hpp": '/* a\ncomment */\n#include "lib/ring/ring.hpp"',
    "lib/os/public.hpp": "#include <pinion/pool.hpp>",
    "lib/os/beside.hpp": '#include "../ring/ring.hpp"',
    "lib/os/no_comment.hpp": '// all of /dev/shm/*\n#include "lib/pool/pool.hpp"',
    "include/pinion/dots.hpp": "#include <pinion/../../lib/os/fd.hpp>",
    "lib/os/dots.hpp": '#include "lib/os/../pool/pool.hpp"',
    "lib/os/angled.hpp": "#include <lib/os/fd.hpp>",
    "lib/ring/sideways.hpp": '#include "lib/topology/places.hpp"',
    "lib/ring/circle.hpp": '#include "lib/shm/arena.hpp"',
    "lib/topology/sideways.hpp": '#include "lib/shm/arena.hpp"',
    "lib/loop/rings.hpp": '  #  include "lib/ring/ring.hpp"',
    "lib/loop/pool.hpp": "#include <pinion/pool.hpp>",
    "lib/start/loop.hpp": '#include "lib/loop/loop.hpp"',
    "lib/start/task.hpp": "#include <pinion/task.hpp>",
    "lib/loop/init.hpp": "#include <pinion/init.hpp>",
    "lib/pool/worker.cpp": '#include "workers/main.hpp"',
    "workers/tool.cpp": '#include "tools/command/topo.hpp"',
    "tools/command/inside.cpp": "#include <pinion/detail/chunk.hpp>",
    "tools/command/below.cpp": '#include "lib/topology/places.hpp"',
    "tools/command/neighbour.cpp": '#include "tools/other/main.hpp"',
    "lib/stray/file.hpp": "",
    "lib/pool/clock.cpp": "\nauto now = std::chrono::system_clock::now();",
    "tests/unit/long.cpp": "\n" * LINES_MAX,
}


def write_tree(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)


def self_test():
    """Whether a clean tree passes, and each broken rule is reported at its line."""
    failures = []
    with tempfile.TemporaryDirectory() as root:
        write_tree(root, GOOD)
        failures += [f"reported in a clean tree: {text}" for text in violations(root)]
    for path, text in BAD.items():
        with tempfile.TemporaryDirectory() as root:
            write_tree(root, GOOD)
            write_tree(root, {path: text + "\n"})
            place = f"{path}:{text.count(chr(10)) + 1}:"
            found = violations(root)
            if len(found) != 1 or not found[0].startswith(place):
                failures.append(f"one violation expected at {place} found: {found}")
    for failure in failures:
        print(failure)
    print(f"self-test: {len(BAD)} violations, {len(failures)} failures")
    return not failures


def main(arguments):
    if arguments == ["--self-test"]:
        return 0 if self_test() else 1
    if len(arguments) != 1 or not os.path.isdir(os.path.join(arguments[0], "include")):
        print(__doc__, file=sys.stderr)
        return 2
    found = violations(arguments[0])
    for text in found:
        print(text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
