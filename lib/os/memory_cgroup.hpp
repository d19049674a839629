// The memory cgroup of this process, version 1 or 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pinion::os {

struct MemoryCgroup {
  bool unified = false;              // version 2
  std::vector<std::string> folders;  // its own first, then its ancestors'
};

/// All that /proc/self/cgroup names: one, or in a hybrid setup two. `root` is where /proc and /sys
/// are looked for.
std::vector<MemoryCgroup> memory_cgroups(const std::string& root);

/// How often the OOM killer has struck in this process's cgroup. Empty where the kernel does not
/// count it.
std::optional<std::uint64_t> oom_kills(const std::string& root = {}) noexcept;

}  // namespace pinion::os
