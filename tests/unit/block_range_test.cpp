// Blocks that a hostile process names: none that is accepted leaves the memory.
#include "lib/shm/block_range.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "tests/support/seed.hpp"

using pinion::ring::Mutant;
using pinion::shm::lies_within;

namespace {

/// How many of the blocks were judged wrongly; sums are formed where they cannot overflow.
int wrong(Mutant mutant, const std::vector<std::uint64_t>& numbers, std::uint64_t begin,
          std::uint64_t end) {
  int count = 0;
  for (const std::uint64_t offset : numbers) {
    for (const std::uint64_t bytes : numbers) {
      const auto last = static_cast<unsigned __int128>(offset) + bytes;
      const bool inside = offset >= begin && last <= end;
      if (lies_within(offset, bytes, begin, end, mutant) != inside) ++count;
    }
  }
  return count;
}

/// Those around which an error shows, and any.
std::vector<std::uint64_t> numbers_around(std::uint64_t begin, std::uint64_t end) {
  auto random = checks::seeded();
  std::vector<std::uint64_t> numbers;
  for (const std::uint64_t at : {std::uint64_t{0}, begin, end, end - begin, ~std::uint64_t{0},
                                 std::uint64_t{1} << 63, ~std::uint64_t{0} - end}) {
    for (std::uint64_t d = 0; d < 3; ++d) {
      numbers.push_back(at + d);
      numbers.push_back(at - d);
    }
  }
  for (int i = 0; i < 200; ++i) numbers.push_back(random() >> random() % 64);
  return numbers;
}

}  // namespace

TEST_CASE("a block is accepted where it lies within, and nowhere else") {
  for (const std::uint64_t end : {4096ULL, 1ULL << 20, (1ULL << 40) + 64}) {
    const auto numbers = numbers_around(512, end);
    CHECK(wrong(Mutant::none, numbers, 512, end) == 0);
    CHECK(wrong(Mutant::none, numbers, 0, end) == 0);
  }
}

TEST_CASE("an end that is not checked is found") {
  CHECK(wrong(Mutant::unchecked_end, numbers_around(512, 1 << 20), 512, 1 << 20) > 0);
}
