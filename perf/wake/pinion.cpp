// `apply` of an empty function to a worker that is asleep.
#include <sys/resource.h>

#include <stdexcept>

#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"
#include "perf/wake/pauses.hpp"

namespace pinion::perf {
namespace {

/// How often the worker has gone to sleep.
constexpr auto sleeps = [] {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nvcsw;
};

Sample apply_asleep() {
  Pool pool(one_worker());
  const Pinned pinned(two_cpus().first);
  const long before = pool.apply(sleeps);
  const Sample sample = median_after_pauses([&] { pool.apply(empty_task); });
  const long after = pool.apply(sleeps);
  if (after - before < static_cast<long>(sizes::wake_calls) * 9 / 10) {
    throw std::runtime_error("the worker did not sleep between the calls");
  }
  return sample;
}

const Contestant registered{"wake/apply", apply_asleep};

}  // namespace
}  // namespace pinion::perf
