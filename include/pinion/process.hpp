// Child processes from a coroutine.
#pragma once

#include <pinion/detail/api.hpp>
#include <pinion/detail/operation.hpp>

#include <sys/resource.h>
#include <sys/types.h>

#include <coroutine>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pinion::io {

/// What to start, and how.
struct SpawnRequest {
  std::vector<std::string> argv{};  ///< program and arguments; never empty
  std::string program{};            ///< the file to execute; empty: the one that `argv` names
  /// "NAME=value" each; this process's own where there is none
  std::optional<std::vector<std::string>> environment{};
  std::string working_directory{};  ///< empty: this process's own
  int stdin_fd = -1;                ///< -1: /dev/null
  int stdout_fd = -1;               ///< -1: this process's own
  int stderr_fd = -1;               ///< -1: this process's own
  bool process_group = false;       ///< a process group of its own, with the child's pid
  /// Look a program without a slash up in the PATH that the child gets, from its working directory.
  bool search_path = true;
};

/// How a child ended, and what it and the children that it waited for have used.
struct ProcessExit {
  enum class How {
    exited,
    signaled,
    unknown,  ///< somebody else in this process has reaped it, or SIGCHLD is ignored
  };
  How how = How::unknown;
  int code = 0;    ///< exit code, where `exited`
  int signal = 0;  ///< what killed it, where `signaled`
  bool core_dumped = false;
  rusage usage{};

  [[nodiscard]] bool success() const noexcept { return how == How::exited && code == 0; }
};

/// One child process. Await `wait_process` to learn how it ended and to reap it.
///
/// Destroying it kills nothing. A child that still runs then is left alone, and is reaped when it
/// has ended and this process starts or drops another one; until then its pidfd stays open.
class PINION_API Process {
 public:
  Process(pid_t pid, int pidfd, bool own_group) noexcept
      : pid_(pid), pidfd_(pidfd), own_group_(own_group) {}
  Process(Process&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)),
        pidfd_(std::exchange(other.pidfd_, -1)),
        own_group_(other.own_group_),
        exit_(std::exchange(other.exit_, std::nullopt)) {}
  Process& operator=(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Readable when the process has ended; -1 once it was reaped.
  [[nodiscard]] int pidfd() const noexcept { return pidfd_; }

  /// Sends a signal; nothing happens when the process has ended. Throws `std::system_error`
  /// (EPERM, EINVAL).
  void kill(int signal) const;
  /// The same for its whole process group, also after the process itself has ended, as long as it
  /// was not reaped. Throws `std::logic_error` where it has none of its own.
  void kill_group(int signal) const;

  /// How it ended, once `wait_process` has said so.
  [[nodiscard]] const std::optional<ProcessExit>& exit() const noexcept { return exit_; }
  /// Reaps a process that has ended. Called by: `wait_process`.
  const ProcessExit& reap();

 private:
  void drop() noexcept;

  pid_t pid_ = 0;
  int pidfd_ = -1;
  bool own_group_ = false;
  std::optional<ProcessExit> exit_;
};

}  // namespace pinion::io

namespace pinion::detail {

/// Starts the process now: the kernel has no call that does it later.
PINION_API io::Process spawn(const io::SpawnRequest& request);

class SpawnAwaiter {
 public:
  explicit SpawnAwaiter(io::SpawnRequest request) noexcept : request_(std::move(request)) {}
  bool await_ready() const {
    require_running_loop();
    return true;
  }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  io::Process await_resume() const { return spawn(request_); }

 private:
  io::SpawnRequest request_;
};

class WaitProcessAwaiter {
 public:
  explicit WaitProcessAwaiter(io::Process& process) noexcept;
  bool await_ready() {
    if (process_.exit()) return true;
    operation_.fd = process_.pidfd();
    operation_.prepare();
    return false;
  }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { operation_.begin(waiter); }
  io::ProcessExit await_resume() {
    if (process_.exit()) return *process_.exit();
    operation_.finish("waiting for a process");
    return process_.reap();
  }

 private:
  io::Process& process_;
  Operation operation_{OperationKind::poll};
};

inline WaitProcessAwaiter::WaitProcessAwaiter(io::Process& process) noexcept : process_(process) {
  operation_.events = 1;  // POLLIN; <poll.h> would bring a function `poll` into every user's file
}

}  // namespace pinion::detail

namespace pinion::io {

/// `Process p = co_await spawn_process(std::move(request))`: starts a program.
///
/// The child gets descriptors 0, 1 and 2 and no other, an empty signal mask, and the signal
/// dispositions and limits that the host program had. Throws `std::system_error` with the error
/// of exactly the step that failed (ENOENT: no such program), `std::invalid_argument` for an
/// empty `argv` or a text with a NUL in it, `Cancelled`, and `std::logic_error` outside an event
/// loop. Costs what vfork and exec cost, whatever the size of this process; the worker waits for
/// the exec.
[[nodiscard]] inline detail::SpawnAwaiter spawn_process(SpawnRequest request) noexcept {
  return detail::SpawnAwaiter(std::move(request));
}

/// `ProcessExit e = co_await wait_process(p)`: waits for the end, reaps, and says how it ended.
/// Again, later: the same answer. When cancelled it throws `Cancelled`, and the process goes on.
[[nodiscard]] inline detail::WaitProcessAwaiter wait_process(Process& process) noexcept {
  return detail::WaitProcessAwaiter(process);
}

}  // namespace pinion::io
