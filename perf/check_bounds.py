#!/usr/bin/env python3
"""Compares what perf/ measured with perf/bounds.json.

usage: check_bounds.py RESULTS.json...

Values are compared only within one round of one run, and rounds between whose two readings of L the
two cores moved apart are left out. The value of a bound is the median over the rounds.
"""

import json
import statistics
import sys
from pathlib import Path

BOUNDS = Path(__file__).with_name("bounds.json")
STEADY = 1.30  # the two readings of L around a round differ by less than this
ROUNDS_MIN = 3


def is_steady(probes):
    return max(probes) <= STEADY * min(probes)


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


class Results:
    """All that one run of the suite found: rounds of times, counted values, reasons of absence."""

    def __init__(self):
        self.rounds = {}
        self.counted = {}
        self.skipped = {}
        self.broken = {}
        self.machine = ""

    def add(self, data):
        self.machine = data.get("machine", self.machine)
        self.skipped.update(data.get("skipped", {}))
        self.broken.update(data.get("broken", {}))
        self.counted.update(data.get("counted", {}))
        rounds = data.get("rounds", [])
        for name in {name for one in rounds for name in one["ns"]}:
            self.rounds[name] = rounds

    def ratios(self, of, over, rate, any_distance):
        """(ratios by round, rounds left out)."""
        out, left_out = [], 0
        for one in self.rounds.get(of, []):
            times = dict(one["ns"], L=statistics.mean(one["L"]))
            if of not in times or over not in times:
                continue
            if not any_distance and not is_steady(one["L"]):
                left_out += 1
                continue
            ratio = times[of] / times[over]
            out.append(1 / ratio if rate else ratio)
        return out, left_out


    def times(self, of):
        """Nanoseconds of one operation, by round."""
        return [one["ns"][of] for one in self.rounds.get(of, []) if of in one["ns"]]


def limits(bound):
    """(least, most) as numbers or None."""
    if "recorded" in bound and bound["recorded"] is not None:
        return None, bound["recorded"] * (1 + bound["slack"])
    return bound.get("min"), bound.get("max")


def judge(bound, results):
    """(verdict, value, spread, note) of one bound; the verdict is passed, failed or skipped."""
    names = [bound["of"], bound.get("over", "L")]
    for name in names:
        if name in results.broken:
            return "failed", None, None, f"{name}: {results.broken[name]}"
        if name in results.skipped:
            return "skipped", None, None, f"{name}: {results.skipped[name]}"
    spread = None
    if "over" in bound:
        found, left_out = results.ratios(
            bound["of"], bound["over"], bound["as"] == "rate", bound.get("any_distance", False))
        if not found and not left_out:
            return "failed", None, None, f"{bound['of']} or {bound['over']} was not measured"
        if len(found) < ROUNDS_MIN:
            return ("skipped", None, None,
                    f"the two cores moved in {left_out} of {left_out + len(found)} rounds")
        value, spread = statistics.median(found), quartiles(found)
        note = f"{len(found)} rounds" + (f", {left_out} left out" if left_out else "")
    elif bound.get("as") == "ns":
        found = results.times(bound["of"])
        if not found:
            return "failed", None, None, f"{bound['of']} was not measured"
        value, spread, note = statistics.median(found), quartiles(found), f"{len(found)} rounds"
    else:
        if bound["of"] not in results.counted:
            return "failed", None, None, f"{bound['of']} was not counted"
        value, note = results.counted[bound["of"]], ""
    least, most = limits(bound)
    if least is None and most is None:
        return "skipped", value, spread, "no value is recorded yet"
    holds = (least is None or value >= least) and (most is None or value <= most)
    return ("passed" if holds else "failed"), value, spread, note


def bound_text(bound):
    least, most = limits(bound)
    if least is None and most is None:
        return "none"
    return f">= {least:g}" if least is not None else f"<= {most:g}"


def print_times(results):
    print("\nmeasured, ns an operation, median [quartiles] over all rounds")
    for name in sorted(results.rounds):
        times = results.times(name)
        first, third = quartiles(times)
        print(f"  {name:28} {statistics.median(times):>12.5g}  [{first:.5g}, {third:.5g}]")
    for kind, reasons in ("skipped", results.skipped), ("broken", results.broken):
        for name, why in sorted(reasons.items()):
            print(f"  {name:28}      {kind}  {why}")


def print_verdicts(rows):
    print(f"\n{'value':>10}  {'bound':>9}  {'':7}  work")
    for bound, (verdict, value, spread, note) in rows:
        shown = "-" if value is None else f"{value:.4g}"
        between = f" [{spread[0]:.4g}, {spread[1]:.4g}]" if spread else ""
        note = f" ({note})" if note else ""
        print(f"{shown:>10}  {bound_text(bound):>9}  {verdict:7}  {bound['name']}{between}{note}")


def load_bounds():
    return json.loads(BOUNDS.read_text())["bounds"]


def main(paths):
    if not paths or paths[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if paths else 2
    results = Results()
    for path in paths:
        results.add(json.loads(Path(path).read_text()))
    rows = [(bound, judge(bound, results)) for bound in load_bounds()]
    print_times(results)
    print_verdicts(rows)
    return 1 if any(row[1][0] == "failed" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
