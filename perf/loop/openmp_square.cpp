// A program of its own: `schedule(static)` of x * x, by two threads. Prints the nanoseconds of all
// loops together.
#include <chrono>
#include <cstddef>
#include <iostream>
#include <vector>

#include "perf/sizes.hpp"

namespace {

void loop(const std::vector<double>& in, std::vector<double>& out) {
  const double* const from = in.data();
  double* const to = out.data();
#pragma omp parallel for schedule(static) num_threads(2)
  for (std::size_t i = 0; i < in.size(); ++i) to[i] = from[i] * from[i];
}

}  // namespace

int main() {
  namespace sizes = pinion::perf::sizes;
  const std::vector<double> in(sizes::loop_items, 1.5);
  std::vector<double> out(in.size());
  for (unsigned i = 0; i < sizes::loop_warm_ups; ++i) loop(in, out);
  const auto start = std::chrono::steady_clock::now();
  for (unsigned i = 0; i < sizes::loops; ++i) loop(in, out);
  const auto taken = std::chrono::steady_clock::now() - start;
  if (out.back() != 2.25) return 1;
  std::cout << std::chrono::duration<double, std::nano>(taken).count() << '\n';
}
