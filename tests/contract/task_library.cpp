// A library that has tasks of its own, and makes pools for programs that do not know of pinion.
#include <pinion/pinion.hpp>

#include <cstdio>
#include <exception>
#include <vector>

namespace {

int triple(int x) { return 3 * x; }

}  // namespace

extern "C" int sum_in_a_pool(const char* method) {
  const auto start =
      method[0] == 's' ? pinion::StartMethod::spawn : pinion::StartMethod::forkserver;
  pinion::Pool pool(pinion::PoolOptions{.processes = 2, .start_method = start});
  int sum = 0;
  for (const int x : pool.map(triple, std::vector{1, 2, 3})) sum += x;
  return sum;
}

extern "C" int call_in_a_pool(int (*function)(int), char* error, unsigned long error_bytes) {
  pinion::Pool pool(
      pinion::PoolOptions{.processes = 1, .start_method = pinion::StartMethod::forkserver});
  try {
    return pool.apply(function, 5);
  } catch (const std::exception& e) {
    std::snprintf(error, error_bytes, "%s", e.what());
    return -1;
  }
}
