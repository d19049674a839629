// The pool that is measured: one worker on the second CPU, the caller on the first.
#pragma once

#include <pinion/pinion.hpp>

#include <cstdint>
#include <vector>

#include "perf/harness/contestant.hpp"
#include "perf/harness/cpus.hpp"
#include "perf/harness/spin.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {

/// The smallest task there is.
inline constexpr auto empty_task = [] {};

/// `Pool pool(one_worker());` and after it, so that the pool still sees both CPUs,
/// `const Pinned pinned(two_cpus().first);`.
inline PoolOptions one_worker() {
  PoolOptions options;
  options.processes = 1;
  options.placement = Placement(place_of(two_cpus().second));
  return options;
}

/// `sizes::apply_calls` calls of `apply`, one after the other: both sides stay awake.
inline Sample apply_alone() {
  Pool pool(one_worker());
  const Pinned pinned(two_cpus().first);
  for (std::uint64_t i = 0; i < sizes::apply_calls / 10; ++i) pool.apply(empty_task);
  const auto start = Clock::now();
  for (std::uint64_t i = 0; i < sizes::apply_calls; ++i) pool.apply(empty_task);
  return {seconds_since(start), sizes::apply_calls};
}

/// Keeps `sizes::window` tasks in flight, a handle each, until `tasks` have ended.
inline void run_windowed(Pool& pool, std::uint64_t tasks) {
  std::vector<AsyncResult<void>> flight;
  flight.reserve(sizes::window);
  for (std::uint64_t i = 0; i < tasks; ++i) {
    if (i < sizes::window) {
      flight.push_back(pool.apply_async(empty_task));
    } else {
      AsyncResult<void>& oldest = flight[i % sizes::window];
      oldest.get();
      oldest = pool.apply_async(empty_task);
    }
  }
  for (AsyncResult<void>& result : flight) result.get();
}

}  // namespace pinion::perf
