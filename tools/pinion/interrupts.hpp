// Ctrl-C and its relatives: once to finish, twice to kill.
#pragma once

#include <signal.h>

#include <array>

#include "job_board.hpp"
#include "wakeup.hpp"

namespace pinion::command {

/// Handles SIGINT and SIGTERM: the first one stops the start of further jobs, the second one kills
/// those that run. SIGHUP counts as a first one, however often it comes. Signals that were ignored
/// before stay so. Ignores SIGPIPE, so that a reader that has gone is an error to be handled.
///
/// Such signals are often sent to all processes of a group, and so to the pool's. These must live
/// on until the jobs have ended. So it is made before the pool, whose processes inherit that
/// SIGTERM and SIGHUP are ignored, and `protect_worker` runs in each worker. One at a time; both
/// arguments must outlive it.
class Interrupts {
 public:
  Interrupts(JobBoard& board, const Wakeup& wakeup);
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  ~Interrupts();

  /// From now on signals are handled, also those that have come since it was made. Called by: the
  /// thread that has made it, when the pool is there.
  void handle();

  /// How often the user has asked for the end; 2: the jobs were killed.
  [[nodiscard]] int count() const noexcept;
  /// The last signal that counted; 0 before there was any.
  [[nodiscard]] int signal() const noexcept;

 private:
  static constexpr std::array<int, 4> signals{SIGINT, SIGTERM, SIGHUP, SIGPIPE};
  std::array<struct sigaction, signals.size()> previous_{};
  sigset_t previous_mask_{};
};

/// Makes a worker deaf to SIGTERM and SIGHUP, but not the jobs that it will start. Called by: the
/// worker, as its initializer.
void protect_worker();

}  // namespace pinion::command
