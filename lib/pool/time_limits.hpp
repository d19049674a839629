// Watches tasks that have a time limit. Called by: the service thread, with the baton and the lock.
#pragma once

#include <cstdint>

#include "lib/pool/state.hpp"

namespace pinion::pool {

class TimeLimits {
 public:
  explicit TimeLimits(State& state) noexcept : state_(state) {}

  /// Kills workers whose task has run too long and has not stopped within its grace: tasks see for
  /// themselves when their time has passed. Returns when to look next. A task that has not started
  /// cannot run out of time before now plus its limit, so nothing is looked at more often than
  /// limits are long.
  std::int64_t check(std::int64_t now_ns);

 private:
  std::int64_t check(Lane& lane, std::uint16_t number, std::int64_t now_ns);
  void kill(Lane& lane, Flight& flight, std::int64_t stamp);

  State& state_;
};

}  // namespace pinion::pool
