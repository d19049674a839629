// A program of its own: `schedule(dynamic, 1)` over an empty function, by two threads. It stands
// apart so that libgomp never lives in the process of the pool. Prints the nanoseconds of the whole
// loop.
#include <chrono>
#include <cstdint>
#include <iostream>
#include <vector>

#include "perf/sizes.hpp"

namespace {

double loop_ns(const std::vector<std::uint32_t>& in, std::vector<std::uint32_t>& out) {
  const auto start = std::chrono::steady_clock::now();
#pragma omp parallel for schedule(dynamic, 1) num_threads(2)
  for (std::size_t i = 0; i < in.size(); ++i) out[i] = in[i];
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main() {
  std::vector<std::uint32_t> in(pinion::perf::sizes::map_items, 1);
  std::vector<std::uint32_t> out(in.size());
  loop_ns(in, out);  // makes the threads
  std::cout << loop_ns(in, out) << '\n';
}
