// A process that a test forks to be a manager, what it says of itself, and when everything of it is
// gone. The test process must be the subreaper (`adopt_orphans`), have no other children, and make
// no thread and no pool of its own.
#pragma once

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/eventually.hpp"
#include "support/processes.hpp"

namespace checks {

/// What parent and child share: a page of plain words.
struct Report {
  std::atomic<int> stage{0};      // how far the manager has come; what it means, the test says
  std::atomic<int> quiet{0};      // the manager is done: no more faults
  std::atomic<int> listener{-1};  // of its system calls (syscall_faults.hpp)
  std::atomic<int> served{0};     // somebody answers them
  std::atomic<pid_t> extra{0};    // a process that may outlive the manager
  std::atomic<std::uint64_t> count{0};
  char text[6000] = {};

  void say(const std::string& what) noexcept { std::strncpy(text, what.c_str(), sizeof text - 1); }
};

/// Whoever loses its parent becomes a child of this process, which so sees every process of a test.
inline void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

/// A shared page, with a T in it.
template <class T>
class SharedPage {
 public:
  SharedPage() {
    void* p = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    value_ = new (p) T;
  }
  SharedPage(const SharedPage&) = delete;
  SharedPage& operator=(const SharedPage&) = delete;
  ~SharedPage() { ::munmap(static_cast<void*>(value_), sizeof(T)); }
  T* operator->() const noexcept { return value_; }
  T& operator*() const noexcept { return *value_; }

 private:
  T* value_;
};

class ManagerProcess {
 public:
  /// Forks a process that runs `main(report)` and leaves by `_exit`: 0, or 1 after an exception.
  template <class Main>
  explicit ManagerProcess(Main main) {
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    for (const int signal : {SIGINT, SIGILL, SIGFPE, SIGSEGV, SIGTERM, SIGABRT}) {
      std::signal(signal, SIG_DFL);  // the test framework's handlers would report them
    }
    int code = 0;
    try {
      main(*report_);
    } catch (const std::exception& e) {
      report_->say(std::string("uncaught: ") + e.what());
      code = 1;
    }
    std::fflush(nullptr);
    ::_exit(code);
  }
  ManagerProcess(const ManagerProcess&) = delete;
  ManagerProcess& operator=(const ManagerProcess&) = delete;
  ~ManagerProcess() {
    if (!status_) kill(SIGKILL);
    static_cast<void>(ended(10s));
  }

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] Report& report() const noexcept { return *report_; }
  [[nodiscard]] std::optional<int> status() const noexcept { return status_; }
  void kill(int signal) const noexcept {
    if (!status_) ::kill(pid_, signal);
  }

  /// Whether it has come so far, in time. False also when it has ended before.
  bool reaches(int stage, std::chrono::milliseconds limit = 20s) {
    return eventually([&] { return report_->stage >= stage || ended(); }, limit) &&
           report_->stage >= stage;
  }
  /// Whether it has ended, and with what `waitpid` status.
  bool ended() {
    int status = 0;
    if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
    return status_.has_value();
  }
  bool ended(std::chrono::milliseconds limit) {
    return eventually([&] { return ended(); }, limit);
  }
  void has_ended_with(int status) noexcept { status_ = status; }

 private:
  SharedPage<Report> report_;
  pid_t pid_ = 0;
  std::optional<int> status_;
};

inline std::string status_text(int status) {
  if (WIFEXITED(status)) return "exit code " + std::to_string(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) return std::string("signal SIG") + ::sigabbrev_np(WTERMSIG(status));
  return "status " + std::to_string(status);
}

/// Names of the children of this process that live, but for one.
inline std::string living_children(pid_t except = 0) {
  std::string names;
  for (const Process& child : children()) {
    if (child.pid == except || child.state == 'Z') continue;
    names += " " + child.name + "(" + std::to_string(child.pid) + ", " + child.state + ")";
  }
  return names;
}

/// Reaps every child but `except`, and says how long it took until none was left; empty if some
/// are there after `limit`. The status of `manager` is kept.
inline std::optional<std::chrono::microseconds> time_until_gone(ManagerProcess& manager,
                                                                std::chrono::milliseconds limit,
                                                                pid_t except = 0) {
  const auto begin = Clock::now();
  for (;;) {
    bool left = false;
    for (;;) {
      // Looks without taking, so that `except` stays.
      siginfo_t info{};
      if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
        if (errno == EINTR) continue;
        break;  // ECHILD
      }
      if (info.si_pid == 0) {  // somebody runs
        left = true;
        break;
      }
      int status = 0;
      if (::waitpid(info.si_pid, &status, WNOHANG) != info.si_pid) continue;
      if (info.si_pid == manager.pid()) manager.has_ended_with(status);
    }
    // Its children become ours before it can be reaped.
    if (left && except != 0 && manager.status()) left = !living_children(except).empty();
    const auto took = Clock::now() - begin;
    if (!left) return std::chrono::duration_cast<std::chrono::microseconds>(took);
    if (took > limit) return std::nullopt;
    ::usleep(200);
  }
}

/// Ends what a failed test has left, so that the next one finds nothing.
inline void end_leftovers(ManagerProcess& manager) {
  for (const Process& child : children()) ::kill(child.pid, SIGKILL);
  static_cast<void>(time_until_gone(manager, 5s));
}

/// Shows where the threads of a manager and its children are, after a hang.
inline void show_stacks(pid_t manager) {
  std::vector<pid_t> all{manager};
  for (const Process& child : children(manager)) all.push_back(child.pid);
  for (const pid_t pid : all) {
    const auto found = process(pid);
    std::printf("--- %s (%d)\n", found ? found->name.c_str() : "gone", pid);
    std::fflush(stdout);
    const std::string command = "timeout 20 eu-stack -p " + std::to_string(pid) + " 2>&1";
    if (std::system(command.c_str()) != 0) std::puts("(no stack)");
  }
}

}  // namespace checks
