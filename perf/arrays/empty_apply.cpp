// `apply` of a function without arguments: what a handle is measured against.
#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"
#include "perf/harness/spin.hpp"

namespace pinion::perf {
namespace {

Sample empty_apply() {
  Pool pool(one_worker());
  const Pinned pinned(two_cpus().first);
  for (std::uint64_t i = 0; i < sizes::apply_calls / 10; ++i) pool.apply(empty_task);
  const auto start = Clock::now();
  for (std::uint64_t i = 0; i < sizes::apply_calls; ++i) pool.apply(empty_task);
  return {seconds_since(start), sizes::apply_calls};
}

const Contestant registered{"arrays/empty_apply", empty_apply};

}  // namespace
}  // namespace pinion::perf
