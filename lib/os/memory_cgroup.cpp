#include "lib/os/memory_cgroup.hpp"

#include <fstream>

namespace pinion::os {

namespace {

std::vector<std::string> with_ancestors(const std::string& hierarchy, std::string group) {
  std::vector<std::string> folders;
  for (;;) {
    folders.push_back(hierarchy + group + "/");
    const auto slash = group.find_last_of('/');
    if (slash == std::string::npos || group == "/") return folders;
    group.resize(slash);
  }
}

/// The number behind a word in a file of "word number" lines.
std::optional<std::uint64_t> number_after(const std::string& path, const std::string& word) {
  std::ifstream file(path);
  std::string name;
  std::uint64_t number = 0;
  while (file >> name >> number) {
    if (name == word) return number;
  }
  return std::nullopt;
}

}  // namespace

std::vector<MemoryCgroup> memory_cgroups(const std::string& root) {
  std::vector<MemoryCgroup> found;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "5:cpu,memory:/group", "0::/group"
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      found.push_back({true, with_ancestors(root + "/sys/fs/cgroup", group)});
    } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
      found.push_back({false, with_ancestors(root + "/sys/fs/cgroup/memory", group)});
    }
  }
  return found;
}

std::optional<std::uint64_t> oom_kills(const std::string& root) noexcept {
  try {
    for (const MemoryCgroup& cgroup : memory_cgroups(root)) {
      const char* const name = cgroup.unified ? "memory.events" : "memory.oom_control";
      // A group that a container does not show leaves the nearest ancestor that it does.
      for (const std::string& folder : cgroup.folders) {
        if (const auto kills = number_after(folder + name, "oom_kill")) return kills;
      }
    }
  } catch (...) {  // no memory for names: then nothing is known
  }
  return std::nullopt;
}

}  // namespace pinion::os
