#include "lib/os/pidfd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "lib/os/clock.hpp"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace pinion::os {

Fd open_pidfd(pid_t pid) {
  return Fd(static_cast<int>(check(::syscall(SYS_pidfd_open, pid, 0), "opening a pidfd")));
}

void send_signal(int pidfd, int signal) noexcept {
  ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0);
}

std::optional<ExitStatus> reap(int pidfd) noexcept {
  siginfo_t info{};
  int rc = 0;
  do {
    rc = ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info,
                  WEXITED | WNOHANG | __WALL);
  } while (rc < 0 && errno == EINTR);
  if (rc < 0) return ExitStatus{};  // ECHILD: taken by the host
  if (info.si_pid == 0) return std::nullopt;
  if (info.si_code == CLD_EXITED) return ExitStatus::exited(info.si_status);
  return ExitStatus::signaled(info.si_status);
}

namespace {

/// As in /proc/PID/stat; 0 where it cannot be read.
char state_of(pid_t pid) noexcept {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/stat", static_cast<int>(pid));
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[256];
  const ssize_t n = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  if (n <= 0) return 0;
  text[n] = '\0';
  const char* const name_end = std::strrchr(text, ')');  // the name may hold anything
  return name_end != nullptr && name_end[1] == ' ' ? name_end[2] : '\0';
}

}  // namespace

bool sleeps_uninterruptibly(pid_t pid) noexcept { return state_of(pid) == 'D'; }
bool sleeps(pid_t pid) noexcept { return state_of(pid) == 'S'; }

bool wait_for_exit(int pidfd, std::int64_t deadline_ns) noexcept {
  pollfd p{pidfd, POLLIN, 0};
  for (;;) {
    int timeout_ms = -1;
    if (deadline_ns != never_ns) {
      const std::int64_t left = std::max<std::int64_t>(0, deadline_ns - now_ns());
      timeout_ms = static_cast<int>(std::min<std::int64_t>((left + 999'999) / 1'000'000, 1 << 30));
    }
    const int rc = ::poll(&p, 1, timeout_ms);
    if (rc > 0) return true;
    if (rc == 0) return false;
    if (errno != EINTR) return true;  // nothing left that could be waited for
  }
}

}  // namespace pinion::os
