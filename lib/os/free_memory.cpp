#include "lib/os/free_memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

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

/// What one cgroup and its ancestors leave free.
std::uint64_t left_in(const std::string& hierarchy, std::string group, const char* limit,
                      const char* usage) {
  std::uint64_t left = unlimited;
  for (;;) {
    const std::string folder = hierarchy + group + "/";
    const std::uint64_t most = number_in(folder + limit);
    const std::uint64_t used = number_in(folder + usage);
    if (most != unlimited && used != unlimited) left = std::min(left, most - std::min(most, used));
    const auto slash = group.find_last_of('/');
    if (slash == std::string::npos || group.empty() || group == "/") return left;
    group.resize(slash);
  }
}

}  // namespace

std::uint64_t free_memory_bytes(const std::string& root) noexcept {
  try {
    std::uint64_t least = available(root);
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
      const auto first = line.find(':');
      const auto second = line.find(':', first + 1);
      if (second == std::string::npos) continue;
      const std::string controllers = line.substr(first + 1, second - first - 1);
      const std::string group = line.substr(second + 1);
      if (controllers.empty()) {
        least = std::min(least, left_in(root + "/sys/fs/cgroup", group, "memory.max", "memory.current"));
      } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
        least = std::min(least, left_in(root + "/sys/fs/cgroup/memory", group,
                                        "memory.limit_in_bytes", "memory.usage_in_bytes"));
      }
    }
    return least;
  } catch (...) {
    return std::uint64_t{1} << 30;
  }
}

}  // namespace pinion::os
