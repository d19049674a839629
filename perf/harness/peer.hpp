// The other side of a reference: a forked process, bound to the second CPU, on shared pages.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "perf/harness/cpus.hpp"

namespace pinion::perf {

/// A `T` on pages that this process and its later children share, touched before use.
template <typename T>
class Shared {
 public:
  Shared() {
    void* at = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at == MAP_FAILED) {
      throw std::system_error(errno, std::generic_category(), "mapping shared pages");
    }
    value_ = new (at) T();
  }
  ~Shared() { munmap(static_cast<void*>(value_), sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  T& operator*() const { return *value_; }
  T* operator->() const { return value_; }

 private:
  T* value_;
};

/// Runs `body` in a child on the second CPU; the destructor waits for its end.
class Peer {
 public:
  template <typename Body>
  explicit Peer(Body&& body) {
    const unsigned cpu = two_cpus().second;
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "forking a peer");
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    const Pinned pinned(cpu);
    std::forward<Body>(body)();
    _exit(0);
  }
  ~Peer() {
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

 private:
  pid_t pid_;
};

}  // namespace pinion::perf
