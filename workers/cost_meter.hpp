// What a task costs, measured without a clock at every task.
#pragma once

#include <cstdint>

#include "lib/os/clock.hpp"

namespace pinion::workers {

/// Times runs of tasks that follow each other without a pause: one look at the clock (21 ns) per
/// run. The manager sizes its batches by it.
class CostMeter {
 public:
  /// After a task has ended, with whether the next one is already there. Returns the mean cost of
  /// the run's tasks in ns when the run is complete, else 0.
  std::uint32_t task_ended(bool more) noexcept {
    if (!more) {
      run_ = 0;
      return 0;
    }
    if (run_ == 0) {
      begin_ = os::now_ns();
      run_ = 1;
      return 0;
    }
    if (run_ < length_) {
      ++run_;
      return 0;
    }
    const std::int64_t now = os::now_ns();
    const std::int64_t mean = (now - begin_) / run_;
    begin_ = now;
    run_ = 1;
    length_ = mean > 10'000 ? 1 : 16;
    return saturate(mean);
  }

  /// A chunk of several items is timed by itself.
  static std::uint32_t of_chunk(std::int64_t begin_ns, std::uint32_t items) noexcept {
    return saturate((os::now_ns() - begin_ns) / (items == 0 ? 1 : items));
  }

 private:
  static std::uint32_t saturate(std::int64_t ns) noexcept {
    if (ns < 1) return 1;
    return ns > UINT32_MAX ? UINT32_MAX : static_cast<std::uint32_t>(ns);
  }

  std::int64_t begin_ = 0;
  std::uint32_t run_ = 0;
  std::uint32_t length_ = 1;  // the first run is short: the manager waits for its result
};

}  // namespace pinion::workers
