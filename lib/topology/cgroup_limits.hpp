// What this process's control groups leave of the machine: CPUs and CPU time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/topology/cpu_set.hpp"

namespace pinion::topology {

/// One cpuset that holds this process.
struct CgroupCpuset {
  CpuSet cpus;
  std::string file;  ///< where it was read
};

/// One limit on CPU time: `quota_us` of every `period_us`.
struct CgroupQuota {
  long long quota_us = 0;
  long long period_us = 0;
  std::string file;  ///< where it was read

  /// The cores that it keeps busy, rounded up; at least 1.
  [[nodiscard]] unsigned cores() const noexcept;
};

struct CgroupLimits {
  std::vector<CgroupCpuset> cpusets;   ///< at most one of each hierarchy
  std::optional<CgroupQuota> quota{};  ///< the tightest on the way from the group to its root
};

/// Reads both versions of control groups, by what `/proc/self/cgroup` and `/proc/self/mountinfo`
/// say; each path is taken below `root` ("" for the real one). What is missing, hidden or not
/// understood is no limit. Never throws but std::bad_alloc.
[[nodiscard]] CgroupLimits read_cgroup_limits(const std::string& root = {});

}  // namespace pinion::topology
