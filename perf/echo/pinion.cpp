// `apply` of a function that returns the vector it was given.
#include <cstddef>
#include <stdexcept>
#include <vector>

#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"
#include "perf/harness/spin.hpp"

namespace pinion::perf {
namespace {

std::vector<char> echo(std::vector<char> bytes) { return bytes; }

Sample echoes(std::size_t bytes) {
  Pool pool(one_worker());
  const Pinned pinned(two_cpus().first);
  const std::vector<char> sent(bytes, 'x');
  const std::uint64_t calls = sizes::vector_bytes_sent / bytes;
  std::vector<char> back;
  for (std::uint64_t i = 0; i < calls / 10; ++i) back = pool.apply(fn<echo>, sent);
  const auto start = Clock::now();
  for (std::uint64_t i = 0; i < calls; ++i) back = pool.apply(fn<echo>, sent);
  const double seconds = seconds_since(start);
  if (back != sent) throw std::runtime_error("the echo was something else");
  return {seconds, calls};
}

const Contestant small{"echo/pinion_64_kib", [] { return echoes(sizes::vector_small_bytes); }};
const Contestant large{"echo/pinion_1_mib", [] { return echoes(sizes::vector_large_bytes); }};

}  // namespace
}  // namespace pinion::perf
