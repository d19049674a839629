// How a wake-up is measured: a pause in which the other side falls asleep, then one timed call.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "perf/harness/contestant.hpp"
#include "perf/harness/spin.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {

/// The median of many calls, as one operation: a single late tick must not decide.
template <typename Call>
Sample median_after_pauses(Call call) {
  std::vector<double> times;
  for (unsigned i = 0; i < sizes::wake_calls; ++i) {
    spin_for(std::chrono::microseconds(sizes::wake_pause_us));
    const auto start = Clock::now();
    call();
    times.push_back(seconds_since(start));
  }
  const auto middle = times.begin() + sizes::wake_calls / 2;
  std::nth_element(times.begin(), middle, times.end());
  return {*middle, 1};
}

}  // namespace pinion::perf
