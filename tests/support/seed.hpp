// Seeds of tests that draw at random: printed, and replayed by PINION_TEST_SEED.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace checks {

/// A new seed, or that of PINION_TEST_SEED. Prints it.
inline std::uint64_t seed() {
  const char* given = std::getenv("PINION_TEST_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("PINION_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return seed;
}

/// A generator with such a seed.
inline std::mt19937_64 seeded() { return std::mt19937_64(seed()); }

}  // namespace checks
