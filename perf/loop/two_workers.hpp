// The pool of the loops: a worker on each of the two CPUs, as OpenMP has a thread.
#pragma once

#include <pinion/pinion.hpp>

#include "perf/harness/cpus.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {

inline PoolOptions two_workers() {
  const auto [first, second] = two_cpus();
  PoolOptions options;
  options.processes = 2;
  options.placement = Placement(place_of(first) + "," + place_of(second));
  return options;
}

inline constexpr auto square = [](double x) { return x * x; };

}  // namespace pinion::perf
