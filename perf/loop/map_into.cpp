// `map_into` of x * x over shared arrays.
#include <stdexcept>

#include "perf/harness/contestant.hpp"
#include "perf/harness/spin.hpp"
#include "perf/loop/two_workers.hpp"

namespace pinion::perf {
namespace {

Sample map_into() {
  Pool pool(two_workers());
  SharedArray<double> in(pool, sizes::loop_items);
  SharedArray<double> out(pool, sizes::loop_items);
  for (double& x : in) x = 1.5;
  for (unsigned i = 0; i < sizes::loop_warm_ups; ++i) pool.map_into(square, in, out);
  const auto start = Clock::now();
  for (unsigned i = 0; i < sizes::loops; ++i) pool.map_into(square, in, out);
  const double seconds = seconds_since(start);
  if (out[sizes::loop_items - 1] != 2.25) throw std::runtime_error("map_into gave something else");
  return {seconds, sizes::loops};
}

const Contestant registered{"loop/map_into", map_into};

}  // namespace
}  // namespace pinion::perf
