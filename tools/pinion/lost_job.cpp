#include "lost_job.hpp"

#include <dirent.h>
#include <fcntl.h>
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

// "pid (name) state parent group ...", where the name may hold anything.
bool runs_in(pid_t pid, pid_t group) noexcept {
  std::array<char, 64> path{};
  std::array<char, 512> text{};
  std::snprintf(path.data(), path.size(), "/proc/%d/stat", static_cast<int>(pid));
  const int file = ::open(path.data(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const ssize_t length = ::read(file, text.data(), text.size() - 1);
  ::close(file);
  const char* const name_end = length > 0 ? std::strrchr(text.data(), ')') : nullptr;
  char state = 0;
  int parent = 0, found = 0;
  if (name_end == nullptr || std::sscanf(name_end + 1, " %c %d %d", &state, &parent, &found) != 3) {
    return false;
  }
  return found == group && state != 'Z' && state != 'X';
}

}  // namespace

bool group_is_alive(pid_t group) noexcept {
  DIR* processes = ::opendir("/proc");
  if (processes == nullptr) return false;
  bool alive = false;
  while (const dirent* entry = alive ? nullptr : ::readdir(processes)) {
    const auto pid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    alive = pid > 1 && runs_in(pid, group);
  }
  ::closedir(processes);
  return alive;
}

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
