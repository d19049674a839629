#!/usr/bin/env python3
"""`pinion topo`, seen from outside: what it shows of masks, variables, options and machines that
hwloc is made to believe in, as text and as JSON.

Usage: topo_command_test.py PATH-OF-PINION
"""

import json
import os
import subprocess
import sys
import unittest

PINION = ""
ASKED = ("PINION_", "OMP_", "GOMP_", "KMP_", "HWLOC_", "OMPI_", "MPI_", "PMI_", "MV2_", "SLURM_")


def run(*arguments, cpus=None, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ASKED)}
    environment.update(variables)
    bind = (lambda: os.sched_setaffinity(0, cpus)) if cpus is not None else None
    return subprocess.run([PINION, "topo", *arguments], env=environment, preexec_fn=bind,
                          capture_output=True, text=True, timeout=60)


def report(*arguments, **how):
    done = run("--json", *arguments, **how)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr
    return json.loads(done.stdout)


def cpus_of(shown):
    return [worker["cpus"] for worker in shown["placement"]["workers"]]


def listed(text):
    """The CPUs of a list as the kernel writes it."""
    cpus = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus |= set(range(int(first), int(last or first) + 1))
    return cpus


class Topo(unittest.TestCase):
    def setUp(self):
        self.mine = sorted(os.sched_getaffinity(0))

    def test_usable_cpus_are_those_of_the_mask_and_one_source_decided(self):
        shown = report()
        self.assertEqual(listed(shown["usable"]["cpus"]), set(self.mine))
        sources = shown["usable"]["sources"]
        self.assertEqual(sum(source["decided"] for source in sources), 1)
        names = [source["name"] for source in sources]
        for name in ("online CPUs", "affinity mask", "CPU quota"):
            self.assertIn(name, names)

    def test_a_narrower_mask_is_seen_and_named(self):
        if len(self.mine) < 2:
            self.skipTest("only one CPU")
        one = self.mine[-1]
        shown = report(cpus={one})
        self.assertEqual(shown["usable"]["cpus"], str(one))
        decided = [s for s in shown["usable"]["sources"] if s["decided"]]
        self.assertEqual(decided, [{"name": "affinity mask", "said": str(one), "decided": True}])
        self.assertEqual(cpus_of(shown), [str(one)])

    def test_the_plan_has_as_many_workers_as_asked(self):
        places = report()["placement"]["places"]
        for jobs in (1, len(places), 3 * len(places) + 1):
            shown = report("-j", str(jobs))
            self.assertEqual(cpus_of(shown), [places[i % len(places)] for i in range(jobs)])
            self.assertEqual([w["index"] for w in shown["placement"]["workers"]], list(range(jobs)))

    def test_a_machine_of_two_sockets(self):
        machine = {"HWLOC_SYNTHETIC": "pack:2 [numa(memory=1GB)] core:1 pu:1"}
        shown = report(**machine)
        self.assertEqual(shown["machine"]["sockets"], 2)
        self.assertEqual([n["cpus"] for n in shown["machine"]["numa_nodes"]], ["0", "1"])
        if not {0, 1} <= set(self.mine):
            self.skipTest("CPUs 0 and 1 are not both usable")
        workers = report("-j2", "--places", "0-1", **machine)["placement"]["workers"]
        self.assertEqual([w["numa_node"] for w in workers], [0, 1])
        across = report("--places", "{0,1}", **machine)["placement"]["workers"]
        self.assertEqual(across, [{"index": 0, "cpus": "0-1", "numa_node": None}])

    def test_places_come_from_option_then_variable_then_hint(self):
        one = str(self.mine[0])
        both = {"PINION_PLACES": one, "OMP_PLACES": "threads"}
        self.assertEqual(report(**both)["placement"]["decided_by"], f'PINION_PLACES "{one}"')
        self.assertEqual(report("--places", "cores", **both)["placement"]["decided_by"],
                         'option "cores"')
        self.assertEqual(report(OMP_PLACES="threads")["placement"]["decided_by"],
                         'OMP_PLACES "threads"')
        self.assertTrue(report()["placement"]["decided_by"].startswith("default: "))

    def test_a_hint_that_cannot_be_followed_is_a_note(self):
        shown = report(OMP_PLACES='{"\n\\')
        self.assertEqual(len(shown["placement"]["notes"]), 1)
        self.assertTrue(shown["placement"]["notes"][0].startswith("OMP_PLACES is ignored: "))
        self.assertIn("  note: OMP_PLACES is ignored: ", run(OMP_PLACES='{"\n\\').stdout)

    def test_ranks_of_a_job_divide_the_cores(self):
        places = report()["placement"]["places"]
        if len(places) < 2:
            self.skipTest("only one core")
        seen = []
        for rank in range(2):
            shown = report(MPI_LOCALRANKID=str(rank), MPI_LOCALNRANKS="2")
            if shown["usable"]["sources"][-1]["name"] != "local ranks":
                self.skipTest("this process has been bound")
            seen += shown["placement"]["places"]
        self.assertEqual(seen, places)

    def test_none_binds_nothing(self):
        for shown in (report("--places", "none"), report(PINION_PLACES="none")):
            self.assertEqual(shown["placement"]["places"], [])
            self.assertEqual(set(cpus_of(shown)), {None})

    def test_the_order_is_chosen(self):
        if len(self.mine) < 2:
            self.skipTest("only one CPU")
        text = f"{self.mine[0]},{self.mine[-1]}"
        first, last = str(self.mine[0]), str(self.mine[-1])
        for bind, cpus in (("close", [first, last]), ("spread", [first, last]),
                           ("primary", [first, first])):
            shown = report("-j2", "--places", text, "--bind", bind)
            self.assertEqual(shown["placement"]["bind"], bind)
            self.assertEqual(cpus_of(shown), cpus)

    def test_text_and_json_say_the_same(self):
        shown = report("-j3")
        text = run("-j3").stdout
        for title in ("machine", "usable CPUs", "placement", "NUMA nodes", "I/O"):
            self.assertIn(title, text.splitlines())
        for worker in shown["placement"]["workers"]:
            self.assertIn(f"  worker {worker['index']}: CPU {worker['cpus']}", text)
        for source in shown["usable"]["sources"]:
            self.assertRegex(text, source["name"] + " +" + "".join("\\" + c if c in "()*+.?[]|^$\\"
                                                                  else c for c in source["said"]))
        self.assertIn(f"  {shown['io']['backend']}: {shown['io']['reason']}", text)

    def test_the_backend_is_shown_with_its_reason(self):
        io = report()["io"]
        self.assertIn(io["backend"], ("uring", "poll"))
        self.assertNotEqual(io["reason"], "")
        self.assertEqual(report(PINION_IO="poll")["io"],
                         {"backend": "poll", "reason": "asked for by PINION_IO"})
        self.assertEqual(report(PINION_IO="sand")["io"]["backend"], "none")

    def test_what_cannot_be_is_refused_in_a_sentence(self):
        beyond = str(max(self.mine) + 1)
        for arguments, how, part in (
                (["--places", beyond], {}, f"CPU {beyond} is outside the usable set"),
                (["--places", "{0"], {}, "expected ',' or '}'"),
                (["--places", "cores(9999)"], {}, "asks for 9999 cores"),
                ([], {"PINION_PLACES": beyond}, f"PINION_PLACES: CPU {beyond} is outside"),
                (["--bind", "far"], {}, "--bind wants close, spread or primary, not 'far'"),
                (["-j", "0"], {}, "-j 0"),
                (["extra"], {}, "extra")):
            with self.subTest(arguments):
                for form in ([], ["--json"]):
                    done = run(*arguments, *form, **how)
                    self.assertEqual(done.returncode, 255)
                    self.assertEqual(done.stdout, "")
                    self.assertIn(part, done.stderr)

    def test_a_full_disk_is_an_error(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "w") as full:
            done = subprocess.run([PINION, "topo", "--json"], stdout=full, timeout=60,
                                  stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 255)
        self.assertIn("cannot write", done.stderr)


if __name__ == "__main__":
    PINION = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
