// `map` of a function that only returns its argument, chunks of one, two workers on the two CPUs.
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"
#include "perf/harness/spin.hpp"

namespace pinion::perf {
namespace {

Sample map() {
  const auto [first, second] = two_cpus();
  PoolOptions options;
  options.processes = 2;
  options.placement = Placement(place_of(first) + "," + place_of(second));
  Pool pool(options);
  constexpr auto identity = [](std::uint32_t x) { return x; };
  const std::vector<std::uint32_t> in(sizes::map_items, 1);
  pool.map(identity, in, 1);
  const auto start = Clock::now();
  const std::vector<std::uint32_t> out = pool.map(identity, in, 1);
  const double seconds = seconds_since(start);
  if (out != in) throw std::runtime_error("the map returned something else");
  return {seconds, sizes::map_items};
}

const Contestant registered{"dispatch/map", map};

}  // namespace
}  // namespace pinion::perf
