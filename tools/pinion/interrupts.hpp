// Ctrl-C and its relatives: once to finish, twice to kill.
#pragma once

#include <signal.h>

#include <array>

#include "job_board.hpp"
#include "wakeup.hpp"

namespace pinion::command {

/// Handles SIGINT and SIGTERM: the first one stops the start of further jobs, the second one kills
/// those that run; SIGHUP kills at once. Signals that were ignored before stay so. Ignores SIGPIPE,
/// so that a reader that has gone is an error to be handled.
///
/// Made after the pool, so that neither its processes nor the jobs inherit any of it. One at a
/// time; both arguments must outlive it.
class Interrupts {
 public:
  Interrupts(JobBoard& board, const Wakeup& wakeup);
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  ~Interrupts();

  /// How often the user has asked for the end; 2: the jobs were killed.
  [[nodiscard]] int count() const noexcept;
  /// The last signal; 0 before there was any.
  [[nodiscard]] int signal() const noexcept;

 private:
  static constexpr std::array<int, 4> signals{SIGINT, SIGTERM, SIGHUP, SIGPIPE};
  std::array<struct sigaction, signals.size()> previous_{};
};

}  // namespace pinion::command
