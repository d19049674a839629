// The processes of a pool, for tests that harm them.
#pragma once

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <pinion/pool.hpp>

#include <algorithm>
#include <csignal>
#include <utility>
#include <vector>

#include "support/eventually.hpp"
#include "support/processes.hpp"

namespace checks {

inline std::vector<pid_t> pids(const pinion::Pool& pool) {
  std::vector<pid_t> found;
  for (const auto& worker : pool.workers()) {
    if (worker.pid > 0) found.push_back(worker.pid);
  }
  return found;
}

inline bool all_ready(const pinion::Pool& pool) {
  const auto workers = pool.workers();
  return std::all_of(workers.begin(), workers.end(), [](const auto& worker) {
    return worker.state == pinion::WorkerInfo::State::ready && worker.pid != 0;
  });
}

/// Whether so many have died, each has its successor, and all are ready.
inline bool replaced(const pinion::Pool& pool, std::uint64_t deaths,
                     std::chrono::milliseconds limit = 10s) {
  return eventually(
      [&] {
        const auto stats = pool.stats();
        return stats.deaths == deaths && stats.respawns == deaths && all_ready(pool);
      },
      limit);
}

/// A child of ours that signals reach for as long as this lives, and nobody else after it.
class Target {
 public:
  explicit Target(pid_t pid) : pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {
    // Its number may be another process's by now.
    const auto found = process(pid);
    if (pidfd_ >= 0 && (!found || found->parent != ::getpid())) {
      ::close(pidfd_);
      pidfd_ = -1;
    }
  }
  Target(Target&& other) noexcept : pidfd_(std::exchange(other.pidfd_, -1)) {}
  Target& operator=(Target&& other) noexcept {
    std::swap(pidfd_, other.pidfd_);
    return *this;
  }
  ~Target() {
    if (pidfd_ >= 0) ::close(pidfd_);
  }

  /// False where it has ended.
  bool send(int signal) const {
    return pidfd_ >= 0 && ::syscall(SYS_pidfd_send_signal, pidfd_, signal, nullptr, 0) == 0;
  }
  /// Whether it ends in time, reaped or not.
  [[nodiscard]] bool ends(std::chrono::milliseconds limit) const {
    pollfd ended{pidfd_, POLLIN, 0};
    return ::poll(&ended, 1, static_cast<int>(limit.count())) > 0;
  }

 private:
  int pidfd_;
};

}  // namespace checks
