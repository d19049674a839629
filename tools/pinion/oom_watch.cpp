#include "oom_watch.hpp"

#include <unistd.h>

#include <fstream>

namespace pinion::command {
namespace {

// The file of this process's memory cgroup that counts kills; empty where there is none.
std::string events_file() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    const std::string candidate = controllers.empty()
                                      ? "/sys/fs/cgroup" + group + "/memory.events"
                                      : "/sys/fs/cgroup/memory" + group + "/memory.oom_control";
    const bool is_memory = controllers.empty() || controllers == "memory";
    if (is_memory && ::access(candidate.c_str(), R_OK) == 0) return candidate;
  }
  return {};
}

}  // namespace

std::uint64_t number_in(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  std::uint64_t number = 0;
  while (file >> word >> number) {
    if (word == name) return number;
  }
  return 0;
}

OomWatch::OomWatch() : path_(events_file()) {
  if (path_.empty()) path_ = "/proc/vmstat";
  seen_ = count();
}

std::uint64_t OomWatch::count() const { return number_in(path_, "oom_kill"); }

bool OomWatch::has_killed() {
  if (count() <= seen_) return false;
  ++seen_;
  return true;
}

}  // namespace pinion::command
