// Resolves a placement on a machine: which worker runs where.
#pragma once

#include <pinion/placement.hpp>
#include <string>
#include <vector>

#include "lib/topology/cpu_set.hpp"
#include "lib/topology/environment.hpp"
#include "lib/topology/topology.hpp"
#include "lib/topology/usable_cpus.hpp"

namespace pinion::topology {

/// Where one worker goes.
struct PlannedWorker {
  CpuSet cpus;         ///< what it is bound to; empty: not bound
  int numa_node = -1;  ///< where its memory is; -1: unknown, or its CPUs span nodes
};

struct Plan {
  std::vector<PlannedWorker> workers;  ///< by worker index; at least one
  std::vector<CpuSet> places;          ///< what was dealt, in order; empty: nothing is bound
  CpuSet spare;                        ///< the CPUs kept free for the caller
  std::string source;                  ///< who decided: `option "cores"`, "default: ...", ...
  std::vector<std::string> notes;      ///< what was ignored or limited, a sentence each
};

/// Deals `processes` workers to places; 0 means one per place, as far as the CPU quota goes.
///
/// The places come from the first of: the option, `PINION_PLACES` (in both, "none" binds nothing),
/// `OMP_PLACES`, the default (one place per usable physical core, with all its usable threads,
/// neighbours in order). Abstract names are cut down to this process's usable CPUs; explicit CPU
/// numbers must lie among them. `OMP_PLACES` is a hint: where it does not fit it is ignored, with
/// a note. A usable CPU that the topology does not show (it came later) is a core of its own.
/// `spare(n)` keeps the first n cores of the places free, but always leaves one; where nothing is
/// bound, it only makes as many workers fewer.
///
/// With P places and T workers, the first place being the primary's (OpenMP 5.2, section 10.1.3):
/// `close` puts worker i on place i; `spread` on the first of the i-th of T parts of the places,
/// whose lengths differ by at most one; `primary` puts all on the first. When T > P, `close` and
/// `spread` put worker i on place i mod P: as many to a place as OpenMP has, which puts
/// neighbouring numbers together there, where a pool that is not busy would use half its cores.
///
/// Throws std::invalid_argument, which names the variable or option, for a text that cannot be
/// read, a CPU outside the usable set, or more places than there are ("cores(4)" of 2).
[[nodiscard]] Plan make_plan(const Placement& placement, unsigned processes,
                             const Topology& topology, const UsableCpus& usable,
                             const Environment& environment = process_environment());

/// The plan for this machine, process and calling thread; `local_ranks.hpp` included.
[[nodiscard]] Plan plan_here(const Placement& placement, unsigned processes);

}  // namespace pinion::topology
