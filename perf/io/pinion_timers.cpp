// Many timers of one worker, all at once.
#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"
#include "perf/harness/spin.hpp"

namespace pinion::perf {
namespace {

Task<> sleep_once() { co_await sleep_for(std::chrono::milliseconds(sizes::timer_ms)); }

Task<> sleep_all() {
  TaskGroup group;
  for (unsigned i = 0; i < sizes::timers; ++i) group.start(sleep_once());
  co_await group.wait();
}

Sample timers() {
  Pool pool(one_worker());
  const auto start = Clock::now();
  pool.apply(sleep_all);
  return {seconds_since(start), 1};
}

const Contestant registered{"io/pinion_timers", timers};

}  // namespace
}  // namespace pinion::perf
