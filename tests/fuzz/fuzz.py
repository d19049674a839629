#!/usr/bin/env python3
"""Runs a fuzzer for some seconds on the seeds that it makes itself.

usage: fuzz.py PROGRAM

PINION_FUZZ_SECONDS (20) says how long. Inputs that find something are kept in the folder where this
runs, as crash-*, timeout-* or oom-*. Exit status: the fuzzer's.
"""

import os
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
SECONDS = os.environ.get("PINION_FUZZ_SECONDS", "20")

with tempfile.TemporaryDirectory() as corpus:
    subprocess.run([PROGRAM, f"--make-seeds={corpus}"], check=True)
    sys.exit(subprocess.run([
        PROGRAM, f"-max_total_time={SECONDS}", "-max_len=4096", "-timeout=60",
        "-rss_limit_mb=2048", "-malloc_limit_mb=64", "-print_final_stats=1",
        # Boost's free lists keep pointers with a tag in them, which look like leaks.
        "-detect_leaks=0", corpus,
    ]).returncode)
