// Watches tasks that have a time limit. Called by: the service thread, with the baton and the lock.
#pragma once

#include <cstdint>

#include "lib/pool/state.hpp"
#include "lib/pool/takeback.hpp"

namespace pinion::pool {

class TimeLimits {
 public:
  TimeLimits(State& state, TakeBack& takeback) noexcept : state_(state), takeback_(takeback) {}

  /// Asks what has run too long to stop, and kills workers whose task has not stopped within its
  /// grace. Returns when to look next. A task that has not started cannot run out of time before
  /// now plus its limit, so nothing is looked at more often than limits are long.
  std::int64_t check(std::int64_t now_ns);

 private:
  std::int64_t check(Lane& lane, std::uint16_t number, std::int64_t now_ns);
  void kill(Lane& lane, Flight& flight);

  State& state_;
  TakeBack& takeback_;
};

}  // namespace pinion::pool
