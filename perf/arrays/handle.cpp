// `apply` of a function that takes a shared array of 64 MiB, by handle, and looks at one element.
#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"
#include "perf/harness/spin.hpp"

namespace pinion::perf {
namespace {

char first(SharedArray<char> array) { return array[0]; }

Sample handle() {
  Pool pool(one_worker());
  const SharedArray<char> array(pool, sizes::array_bytes);
  const Pinned pinned(two_cpus().first);
  for (std::uint64_t i = 0; i < sizes::apply_calls / 10; ++i) pool.apply(fn<first>, array);
  const auto start = Clock::now();
  for (std::uint64_t i = 0; i < sizes::apply_calls; ++i) pool.apply(fn<first>, array);
  return {seconds_since(start), sizes::apply_calls};
}

const Contestant registered{"arrays/handle", handle};

}  // namespace
}  // namespace pinion::perf
