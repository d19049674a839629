// A program whose OpenMP threads have run before its pool is made.
#include <doctest/doctest.h>
#include <omp.h>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::StartMethod;

namespace {

long sum_to(int n) {
  long sum = 0;
#pragma omp parallel for reduction(+ : sum)
  for (int i = 1; i <= n; ++i) sum += i;
  return sum;
}

}  // namespace

TEST_CASE("OpenMP's threads in the program, and then again in the workers") {
  REQUIRE(sum_to(1000) == 500'500);  // its threads stay
  for (const StartMethod method :
       {StartMethod::automatic, StartMethod::forkserver, StartMethod::spawn}) {
    CAPTURE(static_cast<int>(method));
    CheckedPool pool(PoolOptions{.processes = 2, .start_method = method});
    for (const long sum : pool.map(sum_to, std::vector<int>(20, 1000))) CHECK(sum == 500'500);
  }
  if (omp_get_max_threads() > 1) {
    const auto forks = [] {
      CheckedPool pool(PoolOptions{.processes = 1, .start_method = StartMethod::fork});
    };
    CHECK_THROWS_AS(forks(), pinion::StartError);
  }
  CHECK(sum_to(10) == 55);
}
