// A coroutine that is made, run to its end and destroyed, inside a task.
#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"
#include "perf/harness/spin.hpp"

namespace pinion::perf {
namespace {

[[gnu::noinline]] Task<std::uint64_t> give(std::uint64_t n) { co_return n; }

Task<double> run_many(std::uint64_t count) {
  const auto start = Clock::now();
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < count; ++i) sum += co_await give(i);
  const double seconds = seconds_since(start);
  if (sum != count * (count - 1) / 2) throw std::runtime_error("a wrong sum");
  co_return seconds;
}

Sample coroutine() {
  Pool pool(one_worker());
  return {pool.apply(run_many, sizes::coroutines), sizes::coroutines};
}

const Contestant registered{"io/coroutine", coroutine};

}  // namespace
}  // namespace pinion::perf
