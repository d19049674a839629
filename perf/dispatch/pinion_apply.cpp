// `apply` of an empty function, one after the other: both sides stay awake.
#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"
#include "perf/harness/spin.hpp"

namespace pinion::perf {
namespace {

Sample apply() {
  Pool pool(one_worker());
  const Pinned pinned(two_cpus().first);
  for (std::uint64_t i = 0; i < sizes::apply_calls / 10; ++i) pool.apply(empty_task);
  const auto start = Clock::now();
  for (std::uint64_t i = 0; i < sizes::apply_calls; ++i) pool.apply(empty_task);
  return {seconds_since(start), sizes::apply_calls};
}

const Contestant registered{"dispatch/apply", apply};

}  // namespace
}  // namespace pinion::perf
