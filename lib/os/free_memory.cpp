#include "lib/os/free_memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#include "lib/os/memory_cgroup.hpp"

namespace pinion::os {

namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

std::uint64_t available(const std::string& root) {
  std::ifstream file(root + "/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t kib = 0;
    if (words >> name >> kib && name == "MemAvailable:") return kib * 1024;
  }
  return std::uint64_t{1} << 30;
}

std::uint64_t number_in(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t n = 0;
  return file >> n ? n : unlimited;  // also "max"
}

/// What a cgroup and its ancestors leave free.
std::uint64_t left_in(const MemoryCgroup& cgroup) {
  const char* const limit = cgroup.unified ? "memory.max" : "memory.limit_in_bytes";
  const char* const usage = cgroup.unified ? "memory.current" : "memory.usage_in_bytes";
  std::uint64_t left = unlimited;
  for (const std::string& folder : cgroup.folders) {
    const std::uint64_t most = number_in(folder + limit);
    const std::uint64_t used = number_in(folder + usage);
    if (most != unlimited && used != unlimited) left = std::min(left, most - std::min(most, used));
  }
  return left;
}

}  // namespace

std::uint64_t free_memory_bytes(const std::string& root) noexcept {
  try {
    std::uint64_t least = available(root);
    for (const MemoryCgroup& cgroup : memory_cgroups(root))
      least = std::min(least, left_in(cgroup));
    return least;
  } catch (...) {
    return std::uint64_t{1} << 30;
  }
}

}  // namespace pinion::os
