#include "lost_job.hpp"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pinion::command {
namespace {

bool has_as_output(pid_t pid, const char* wanted) noexcept {
  std::array<char, 64> path{};
  std::array<char, 64> target{};
  std::snprintf(path.data(), path.size(), "/proc/%d/fd/1", static_cast<int>(pid));
  const ssize_t length = ::readlink(path.data(), target.data(), target.size() - 1);
  return length > 0 && std::strcmp(target.data(), wanted) == 0;
}

}  // namespace

void kill_holders(std::uint32_t pipe_inode) noexcept {
  std::array<char, 32> wanted{};
  std::snprintf(wanted.data(), wanted.size(), "pipe:[%u]", pipe_inode);
  DIR* processes = ::opendir("/proc");
  if (processes == nullptr) return;
  while (const dirent* entry = ::readdir(processes)) {
    const auto pid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (pid <= 1 || !has_as_output(pid, wanted.data())) continue;
    const pid_t group = ::getpgid(pid);
    if (group > 1 && group != ::getpgrp()) ::kill(-group, SIGKILL);
  }
  ::closedir(processes);
}

}  // namespace pinion::command
