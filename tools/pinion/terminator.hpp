// Ends jobs before their time: one signal after the other, until nobody of the group is left.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>

#include "job_board.hpp"
#include "term_sequence.hpp"

namespace pinion::command {

/// Called by: the main loop, which asks `next` when to call `signal_due` again.
class Terminator {
 public:
  using Clock = std::chrono::steady_clock;

  /// What the sequence leaves alive is killed at its end. `board` must outlive it.
  Terminator(JobBoard& board, TermSequence sequence)
      : board_(board), sequence_(std::move(sequence)) {}

  /// Begins to end the job at `place`; nothing where that has begun.
  void begin(std::uint32_t place);
  /// The job at `place` has ended. Returns the last signal that it was sent; 0: none was.
  int end(std::uint32_t place);
  void signal_due();
  /// When the next signal is due.
  [[nodiscard]] Clock::time_point next() const noexcept;

 private:
  struct Ending {
    std::size_t step = 0;
    Clock::time_point due{};
    int last_signal = 0;
  };
  void advance(std::uint32_t place, Ending& ending, Clock::time_point now);

  JobBoard& board_;
  TermSequence sequence_;
  std::map<std::uint32_t, Ending> endings_;
};

}  // namespace pinion::command
