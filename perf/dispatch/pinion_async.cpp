// `apply_async` of an empty function, a window of tasks in flight, a handle each.
#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"
#include "perf/harness/spin.hpp"

namespace pinion::perf {
namespace {

Sample apply_async() {
  Pool pool(one_worker());
  const Pinned pinned(two_cpus().first);
  run_windowed(pool, sizes::async_tasks / 10);
  const auto start = Clock::now();
  run_windowed(pool, sizes::async_tasks);
  return {seconds_since(start), sizes::async_tasks};
}

const Contestant registered{"dispatch/apply_async", apply_async};

}  // namespace
}  // namespace pinion::perf
