// Several processes of one job on one node, each of which sees the whole machine.
#pragma once

#include <optional>
#include <string>

#include "lib/topology/environment.hpp"
#include "lib/topology/topology.hpp"
#include "lib/topology/usable_cpus.hpp"

namespace pinion::topology {

/// This process among those of its job on this node.
struct LocalRank {
  unsigned rank = 0;  ///< below `size`
  unsigned size = 1;
  std::string source;  ///< the variable that told
};

/// What Open MPI, Intel MPI, MPICH, MVAPICH or Slurm's srun say in the environment.
[[nodiscard]] std::optional<LocalRank> local_rank(const Environment& environment);

/// Where several ranks run on this node and nobody has bound this one (it may use all that its
/// cgroup has, or the whole machine, so the others may use the same), sets `share` to its part of
/// the usable cores, neighbours together, and divides the quota. With more ranks than cores, ranks
/// share a core. Otherwise returns `usable` as it is. The split is told in `sources`.
[[nodiscard]] UsableCpus share_between_ranks(UsableCpus usable, const Topology& topology,
                                             const Environment& environment);

}  // namespace pinion::topology
