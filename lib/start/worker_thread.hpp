// The start method `thread`.
#pragma once

#include <pthread.h>

#include <atomic>
#include <csignal>
#include <memory>

#include "lib/start/local_worker.hpp"
#include "lib/start/worker_maker.hpp"

namespace pinion::start {

class WorkerThread final : public LocalWorker {
 public:
  /// Starts it, with `signals` blocked. Throws `std::system_error`.
  static std::shared_ptr<WorkerThread> start(LocalMain main, const Birth& birth,
                                             const BirthFds& fds, const sigset_t& signals);

  [[nodiscard]] bool ended() const noexcept override {
    return ended_.load(std::memory_order_acquire);
  }
  /// Joins it. One that has returned and does not end, since a destructor of a `thread_local` of
  /// the user's hangs, is let go after a second.
  std::optional<ExitStatus> reap() noexcept override;
  void let_go() noexcept override;
  [[nodiscard]] pid_t id() const noexcept override { return id_.load(std::memory_order_acquire); }

 private:
  WorkerThread(LocalMain main, const Birth& birth, const BirthFds& fds)
      : LocalWorker(birth, fds), main_(main) {
    home_.has_thread = true;
  }
  void run();

  const LocalMain main_;
  pthread_t thread_{};
  bool joinable_ = false;
  std::atomic<pid_t> id_{0};
  int code_ = 0;  // of what it returned; 0 as well where it was unwound
  std::atomic<bool> ended_{false};
};

/// Makes each worker as a thread.
class ThreadMaker final : public WorkerMaker {
 public:
  ThreadMaker(LocalMain main, const sigset_t& signals) noexcept : main_(main), signals_(signals) {}
  Newborn make(Birth birth, const BirthFds& fds, std::int64_t deadline_ns) override;
  [[nodiscard]] int socket() const noexcept override { return -1; }
  void end() noexcept override {}

 private:
  LocalMain main_;
  sigset_t signals_;
};

}  // namespace pinion::start
