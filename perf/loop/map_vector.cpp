// `map` of x * x over a vector: the items travel, and the values back.
#include <stdexcept>
#include <vector>

#include "perf/harness/contestant.hpp"
#include "perf/harness/spin.hpp"
#include "perf/loop/two_workers.hpp"

namespace pinion::perf {
namespace {

Sample map_vector() {
  Pool pool(two_workers());
  const std::vector<double> in(sizes::loop_items, 1.5);
  std::vector<double> out;
  for (unsigned i = 0; i < sizes::loop_warm_ups; ++i) out = pool.map(square, in);
  const auto start = Clock::now();
  for (unsigned i = 0; i < sizes::loops; ++i) out = pool.map(square, in);
  const double seconds = seconds_since(start);
  if (out != std::vector<double>(sizes::loop_items, 2.25)) {
    throw std::runtime_error("the map returned something else");
  }
  return {seconds, sizes::loops};
}

const Contestant registered{"loop/map_vector", map_vector};

}  // namespace
}  // namespace pinion::perf
