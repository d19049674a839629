#!/usr/bin/env python3
"""Looks for vector instructions in the loops of an object file.

usage: loops_test.py OBJDUMP FILE

FILE is built from loops.cpp, optimised. For each functor of it: do its loops hold instructions that
do several elements at once? ChainDoubles must not.
"""

import re
import subprocess
import sys

# Functor: what its loop multiplies or adds with, on x86-64 and on aarch64.
PACKED = {
    "SquareDoubles": (r"\bv?mulpd\b", r"\bfmul\s+v\d+\.2d|\bfmul\s+z"),
    "SquareFloats": (r"\bv?mulps\b", r"\bfmul\s+v\d+\.4s|\bfmul\s+z"),
    "AddBytes": (r"\bv?p(add|sub)b\b", r"\b(add|sub)\s+v\d+\.16b|\b(add|sub)\s+z"),
    "ViewDoubles": (r"\bv?mulpd\b", r"\bfmul\s+v\d+\.2d|\bfmul\s+z"),
}
NEVER = {"ChainDoubles": (r"\bv?mulpd\b", r"\bfmul\s+v\d+\.2d|\bfmul\s+z")}


def functions(objdump, path):
    """{mangled name: text} of all functions."""
    text = subprocess.run([objdump, "-d", "--no-show-raw-insn", path], check=True,
                          capture_output=True, text=True).stdout
    parts = re.split(r"^[0-9a-f]+ <(.+)>:$", text, flags=re.MULTILINE)
    machine = parts[0]
    return machine, dict(zip(parts[1::2], parts[2::2]))


def main(objdump, path):
    machine, code = functions(objdump, path)
    if not re.search(r"x86-64|aarch64", machine):
        print(f"skipped: no vector instructions are known of{machine.strip()[-20:]}")
        return 77
    which = 0 if "x86-64" in machine else 1
    failed = 0
    for functor, patterns in (PACKED | NEVER).items():
        loops = [text for name, text in code.items() if functor in name and "IndexThunk" in name]
        found = sum(len(re.findall(patterns[which], text)) for text in loops)
        wanted = functor in PACKED
        print(f"{functor}: {len(loops)} functions, {found} vector instructions")
        if not loops or (found > 0) != wanted:
            print(f"  FAILED: {'none' if wanted else 'some'} where there should be "
                  f"{'some' if wanted else 'none'}")
            failed = 1
    return failed


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__.strip())
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
