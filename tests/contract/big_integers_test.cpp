// Work with a library's own types inside the tasks: sums of powers of any size.
#ifdef PINION_TEST_GMP

#include <doctest/doctest.h>
#include <gmpxx.h>

#include "tests/contract/checks.hpp"

using namespace checks;

namespace {

/// 0**0 + 1**1 + ... + (n - 1)**(n - 1), in decimal; 0**0 is 1.
std::string sum_of_powers(unsigned n) {
  mpz_class sum = 0;
  mpz_class power;
  for (unsigned i = 0; i < n; ++i) {
    mpz_ui_pow_ui(power.get_mpz_t(), i, i);
    sum += power;
  }
  return sum.get_str();
}

std::vector<unsigned> first_numbers(unsigned n) {
  std::vector<unsigned> all(n);
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

pinion::Task<std::string> later(unsigned n) {
  co_await pinion::yield();
  co_return sum_of_powers(n);
}

}  // namespace

TEST_CASE("sums of powers have their known values") {
  CheckedPool pool(2);
  CHECK(pool.apply(sum_of_powers, 0) == "0");
  CHECK(pool.apply(sum_of_powers, 3) == "6");
  CHECK(pool.apply(sum_of_powers, 10) == "405071318");
  CHECK(pool.apply(sum_of_powers, 40) ==
        "113681721900760615100697712346205287585431483816662951205546029");
}

TEST_CASE("a map of sums is what one process computes, whatever the chunk") {
  CheckedPool pool(2);
  const auto ns = first_numbers(121);
  std::vector<std::string> expected;
  for (const unsigned n : ns) expected.push_back(sum_of_powers(n));
  CHECK(pool.map(sum_of_powers, ns) == expected);
  CHECK(pool.map(sum_of_powers, ns, 1) == expected);
  CHECK(pool.map(sum_of_powers, ns, 7) == expected);
  CHECK(pool.map(sum_of_powers, ns, 1000) == expected);
  CHECK(pool.map(later, ns, 7) == expected);
}

TEST_CASE("long numbers come back whole") {
  CheckedPool pool(2);
  const std::string serial = sum_of_powers(1500);
  CHECK(serial.size() > 4000);
  for (const auto& sum : pool.map(sum_of_powers, std::vector<unsigned>(40, 1500))) {
    REQUIRE(sum == serial);
  }
}

#else

#include <cstdio>

int main() {
  std::puts("skipped: GMP with its C++ interface is not here");
  return 77;
}

#endif
