#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "lib/shm/space.hpp"
#include "tests/unit/count_allocations.hpp"

using pinion::shm::Space;

namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;

/// What is out, and whether any of it could overlap.
class Model {
 public:
  Model(std::uint64_t begin, std::uint64_t end) : begin_(begin), end_(end), space_(begin, end) {}

  /// False where the space gave something that it must not give.
  bool take(std::uint64_t bytes) {
    const std::optional<std::uint64_t> offset = space_.take(bytes);
    if (!offset) return true;
    const std::uint64_t size = Space::rounded(bytes);
    const std::uint64_t align = bytes > Space::small_max ? 4096 : Space::block_align;
    if (size < bytes || *offset % align != 0) return false;
    if (*offset < begin_ || *offset + size > end_) return false;
    const auto after = out_.lower_bound(*offset);
    if (after != out_.end() && after->first < *offset + size) return false;
    if (after != out_.begin()) {
      const auto before = std::prev(after);
      if (before->first + Space::rounded(before->second) > *offset) return false;
    }
    out_.emplace(*offset, bytes);
    used_ += size;
    return space_.used() == used_;
  }
  bool give(std::size_t number) {
    const auto it = std::next(out_.begin(), static_cast<std::ptrdiff_t>(number % out_.size()));
    space_.give(it->first, it->second);
    used_ -= Space::rounded(it->second);
    out_.erase(it);
    return space_.used() == used_;
  }
  void extend(std::uint64_t end) {
    end_ = end;
    space_.extend(end);
  }
  std::size_t out() const { return out_.size(); }
  Space& space() { return space_; }

 private:
  std::uint64_t begin_;
  std::uint64_t end_;
  Space space_;
  std::map<std::uint64_t, std::uint64_t> out_;  // offset: bytes asked for
  std::uint64_t used_ = 0;
};

std::uint64_t some_size(std::mt19937_64& random) {
  switch (random() % 8) {
    case 0:
      return random() % 3;
    case 1:
      return Space::small_max - 2 + random() % 5;  // on both sides of the border
    case 2:
      return 8 * kib + random() % (300 * kib);
    case 3:
      return 4096 * (1 + random() % 20) - 1 + random() % 3;
    default:
      return random() % Space::small_max;
  }
}

/// The largest block that can be had, in steps of 4 KiB.
std::uint64_t largest_block(Space& space) {
  for (std::uint64_t bytes = space.capacity(); bytes > Space::small_max; bytes -= 4096) {
    if (const auto offset = space.take(bytes)) {
      space.give(*offset, bytes);
      return bytes;
    }
  }
  return 0;
}

}  // namespace

TEST_CASE("blocks of any size never overlap, lie inside, are aligned, and all come back") {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const std::uint64_t begin = 4096 * (random() % 40);
    Model model(begin, begin + 4 * mib + 4096 * (random() % 33));
    std::uint64_t end = model.space().end();
    std::size_t most = 0;
    for (int step = 0; step < 8000; ++step) {
      if (step % 2000 == 1999) model.extend(end += 4096 * (random() % 100));
      const bool more = random() % 100 < (step / 1000 % 2 == 0 ? 60U : 45U);
      if (more || model.out() == 0) {
        REQUIRE(model.take(some_size(random)));
      } else {
        REQUIRE(model.give(random()));
      }
      most = std::max(most, model.out());
    }
    CHECK(most > 100);
    while (model.out() > 0) REQUIRE(model.give(random()));
    CHECK(model.space().used() == 0);
    CHECK(model.space().capacity() == end - begin);
  }
}

TEST_CASE("when all has come back, all can be had in one block again") {
  Space space(0, 2 * mib);
  CHECK(largest_block(space) == 2 * mib);
  std::vector<std::uint64_t> large;
  while (const auto offset = space.take(12 * kib)) large.push_back(*offset);
  CHECK(large.size() == 2 * mib / (12 * kib));
  for (std::size_t i = 0; i < large.size(); i += 2) space.give(large[i], 12 * kib);
  CHECK(largest_block(space) == 12 * kib);  // holes between blocks do not join
  for (std::size_t i = 1; i < large.size(); i += 2) space.give(large[i], 12 * kib);
  CHECK(largest_block(space) == 2 * mib);
  // Of small ones each size keeps a page of 64 KiB at most.
  std::vector<std::uint64_t> small;
  while (const auto offset = space.take(100)) small.push_back(*offset);
  CHECK(small.size() == 2 * mib / 128);
  for (const std::uint64_t offset : small) space.give(offset, 100);
  CHECK(space.used() == 0);
  CHECK(largest_block(space) >= 2 * mib - 2 * Space::page_bytes);
}

TEST_CASE("what does not fit is refused, and harms nothing") {
  Space space(8192, 8192 + mib);
  for (const std::uint64_t bytes :
       {mib + 1, 2 * mib, ~std::uint64_t{0}, ~std::uint64_t{0} - 4095, std::uint64_t{1} << 63}) {
    CHECK_FALSE(space.take(bytes));
  }
  CHECK(space.used() == 0);
  const auto all = space.take(mib);
  REQUIRE(all);
  CHECK(*all == 8192);
  CHECK_FALSE(space.take(0));
  CHECK_FALSE(space.take(1));
  CHECK_FALSE(space.take(10 * kib));
  space.give(*all, mib);
  CHECK(space.take(1));
}

TEST_CASE("an empty space gives nothing until it is extended") {
  Space space(4096, 4096);
  CHECK_FALSE(space.take(1));
  CHECK_FALSE(space.take(10 * kib));
  space.extend(4096);
  CHECK_FALSE(space.take(1));
  space.extend(4096 + 3 * Space::page_bytes);
  CHECK(space.capacity() == 3 * Space::page_bytes);
  CHECK(space.take(1));
  CHECK(space.take(10 * kib));
}

TEST_CASE("what is added joins with the free end of what was there") {
  Space space(0, 100 * kib);
  const auto front = space.take(20 * kib);
  REQUIRE(front);
  CHECK_FALSE(space.take(100 * kib));
  space.extend(120 * kib);
  const auto rest = space.take(100 * kib);
  REQUIRE(rest);
  CHECK(*rest == 20 * kib);
}

TEST_CASE("a block takes what rounded() says: at most half as much again") {
  std::uint64_t before = 0;
  for (std::uint64_t bytes = 0; bytes <= 20 * kib; ++bytes) {
    const std::uint64_t size = Space::rounded(bytes);
    if (size < bytes || size < before || size % Space::block_align != 0) FAIL(bytes);
    if (bytes > 192 && bytes <= Space::small_max && size * 2 > bytes * 3) FAIL(bytes);
    before = size;
  }
  CHECK(Space::rounded(0) == 64);
  CHECK(Space::rounded(64) == 64);
  CHECK(Space::rounded(65) == 128);
  CHECK(Space::rounded(8 * kib) == 8 * kib);
  CHECK(Space::rounded(8 * kib + 1) == 12 * kib);
  CHECK(Space::rounded(64 * kib) == 64 * kib);
}

TEST_CASE("the block that was given back last is handed out first") {
  Space space(0, mib);
  const auto a = space.take(200);
  const auto b = space.take(200);
  const auto c = space.take(200);
  REQUIRE(c);
  space.give(*a, 200);
  space.give(*c, 200);
  CHECK(space.take(200) == c);
  CHECK(space.take(200) == a);
  CHECK(b != a);
}

TEST_CASE("once warm, small blocks allocate no memory") {
  Space space(0, 4 * mib);
  std::vector<std::uint64_t> out;
  out.reserve(200);
  const auto turn = [&] {
    for (std::uint64_t bytes = 100; bytes <= Space::small_max; bytes += 700) {
      for (int i = 0; i < 7; ++i) {
        const auto offset = space.take(bytes);
        if (!offset) FAIL("there is room");
        out.push_back(*offset);
      }
      while (!out.empty()) {
        space.give(out.back(), bytes);
        out.pop_back();
      }
    }
  };
  turn();
  const std::uint64_t before = pinion::tests::allocations();
  CHECK(before > 0);
  for (int i = 0; i < 100; ++i) turn();
  CHECK(pinion::tests::allocations() == before);
}
