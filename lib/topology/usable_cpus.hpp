// The CPUs that this process may use, and who says so.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/topology/cpu_set.hpp"
#include "lib/topology/environment.hpp"

namespace pinion::topology {

/// What one source says about the usable CPUs.
struct UsableSource {
  std::string name;      ///< "affinity mask"
  std::string said;      ///< "0-7", "no limit", "2 cores of CPU time (...)"
  bool decided = false;  ///< the usable cores are as few as they are because of it
};

struct UsableCpus {
  CpuSet cpus;                            ///< what a worker can be bound to; never empty
  std::optional<unsigned> quota_cores{};  ///< cores that the CPU quota keeps busy, at least 1
  /// The part of `cpus` that falls to this process where others of its job have the same mask:
  /// what the default and the abstract names deal out. Explicit CPU numbers may go beyond it.
  std::optional<CpuSet> share{};
  /// Somebody has given this process fewer CPUs than its cgroup has: by a mask, or by the places of
  /// an OpenMP runtime. Isolated CPUs, which no process has by itself, do not count. True, to be on
  /// the safe side, where neither the cgroup's CPUs nor the online ones are known.
  bool bound = false;
  std::vector<UsableSource> sources{};  ///< in the order in which they were asked

  [[nodiscard]] const CpuSet& own() const noexcept { return share ? *share : cpus; }
  /// The name of the source that decided.
  [[nodiscard]] std::string decided_by() const;
  /// One line a source, the one that decided marked by "*".
  [[nodiscard]] std::string why() const;
};

/// Where to look; the defaults are this process and thread.
struct UsableQuery {
  std::string root{};  ///< goes before each path under /proc and /sys
  Environment environment = process_environment();
  std::function<CpuSet()> affinity{};                      ///< default: bound_cpus()
  std::function<std::optional<CpuSet>()> openmp_places{};  ///< default: openmp_places()
};

/// The CPUs that are online, in the cgroup's cpuset and in the calling thread's affinity mask;
/// where an OpenMP runtime has bound the calling thread, the union of its places stands for the
/// mask. And what the CPU quota of the cgroup and its ancestors allows. A source that leaves no
/// CPU contradicts the mask, which the kernel enforces: it is shown and ignored. Throws
/// std::system_error when the mask cannot be read.
[[nodiscard]] UsableCpus usable_cpus(const UsableQuery& query = {});

}  // namespace pinion::topology
