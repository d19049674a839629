#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "lib/pool/map_state.hpp"

using namespace pinion;
using pool::ItemRange;
using pool::MapState;

namespace {

class NoJob final : public detail::MapJob {
 public:
  explicit NoJob(std::uint64_t n) { items = n; }
  std::size_t chunk_bytes(std::uint64_t, std::uint32_t) const override { return 0; }
  void write_chunk(std::uint64_t, std::uint32_t, detail::Writer&) const override {}
  void take_value(std::uint64_t, std::span<const std::byte>) override {}
  void take_values(std::uint64_t, std::uint32_t, const std::byte*) override {}
};

struct Map {
  explicit Map(std::uint64_t n) : job(n) { state.job = &job; }
  NoJob job;
  MapState state;
};

}  // namespace

TEST_CASE("a chunk starts at n / (64 workers)") {
  CHECK(Map(64'000).state.chunk_items(10) == 100);
  CHECK(Map(6'400).state.chunk_items(1) == 100);
  CHECK(Map(639).state.chunk_items(10) == 1);
  CHECK(Map(1).state.chunk_items(10) == 1);
}

TEST_CASE("a chunk never exceeds what remains / (2 workers)") {
  Map map(64'000);
  map.state.next = 63'000;
  CHECK(map.state.chunk_items(10) == 50);
  map.state.next = 63'990;
  CHECK(map.state.chunk_items(10) == 1);
  map.state.taken_back.push_back({0, 1'990});  // this remains as well
  CHECK(map.state.unassigned() == 2'000);
  CHECK(map.state.chunk_items(10) == 100);
  map.state.taken_back.push_back({5'000, 10});
  CHECK(map.state.unassigned() == 2'010);
}

TEST_CASE("a chunk is at most a millisecond of measured work") {
  Map map(6'400'000);
  CHECK(map.state.chunk_items(1) == 100'000);
  map.state.cost_ns = 100;
  CHECK(map.state.chunk_items(1) == 10'000);
  map.state.cost_ns = 50'000;
  CHECK(map.state.chunk_items(1) == 20);
  map.state.cost_ns = 1'000'000'000;
  CHECK(map.state.chunk_items(1) == 1);
}

TEST_CASE("a chunk's bytes stay in the cache") {
  Map map(6'400'000);
  map.job.item_bytes_hint = 64 << 10;
  CHECK(map.state.chunk_items(1) == 4);
  map.job.item_bytes_hint = 1 << 20;
  CHECK(map.state.chunk_items(1) == 1);
}

TEST_CASE("a chunk of a size that was asked for has it, whatever it costs") {
  Map map(1'000);
  map.job.chunking = pinion::Chunking(300);
  map.state.cost_ns = 1'000'000;
  map.state.next = 900;
  CHECK(map.state.chunk_items(8) == 300);
  map.job.chunking = pinion::Chunking(~std::size_t{0});  // more than a slot can say
  CHECK(map.state.chunk_items(8) == 1U << 24);
}

TEST_CASE("coroutine tasks travel one by one") {
  Map map(1'000'000);
  map.job.coroutine = true;
  CHECK(map.state.chunk_items(1) == 1);
  map.job.chunking = pinion::Chunking(20);
  CHECK(map.state.chunk_items(1) == 20);
}

/// The sizes of all chunks, in turn.
std::vector<std::uint32_t> all_chunks(Map& map, unsigned workers) {
  std::vector<std::uint32_t> sizes;
  while (!map.state.exhausted())
    sizes.push_back(map.state.take(map.state.chunk_items(workers)).count);
  return sizes;
}

TEST_CASE("guided chunks are a worker's share of what remains") {
  Map map(100);
  map.job.chunking = pinion::Chunking::guided();
  CHECK(all_chunks(map, 4) ==
        std::vector<std::uint32_t>{25, 18, 14, 10, 8, 6, 4, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1});
}

TEST_CASE("factoring deals half of what remains, round by round") {
  Map map(100);
  map.job.chunking = pinion::Chunking::factoring();
  CHECK(all_chunks(map, 4) ==
        std::vector<std::uint32_t>{13, 13, 13, 13, 6, 6, 6, 6, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1});
}

TEST_CASE("where chunks find no room they become smaller, down to one item") {
  Map map(6'400'000);
  map.state.shrink_chunks(1'000);
  CHECK(map.state.chunk_items(1) == 500);
  map.job.chunking = pinion::Chunking(700);
  CHECK(map.state.chunk_items(1) == 500);
  for (int i = 0; i < 20; ++i) map.state.shrink_chunks(map.state.chunk_items(1));
  CHECK(map.state.chunk_items(1) == 1);
}

TEST_CASE("what was taken back is given out first, in parts if need be") {
  Map map(100);
  CHECK_FALSE(map.state.exhausted());
  const ItemRange first = map.state.take(30);
  CHECK(first.first == 0);
  CHECK(first.count == 30);
  map.state.taken_back.push_back({10, 8});
  const ItemRange again = map.state.take(5);
  CHECK(again.first == 10);
  CHECK(again.count == 5);
  const ItemRange rest = map.state.take(5);
  CHECK(rest.first == 15);
  CHECK(rest.count == 3);
  const ItemRange fresh = map.state.take(1'000);
  CHECK(fresh.first == 30);
  CHECK(fresh.count == 70);
  CHECK(map.state.exhausted());
  map.state.taken_back.push_back({99, 1});
  CHECK_FALSE(map.state.exhausted());
}

TEST_CASE("however chunks are cut and come back, each item is out once") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const std::uint64_t n = 1 + random() % 20'000;
    Map map(n);
    std::vector<int> out(n, 0);
    std::uint64_t still_out = 0;
    while (!map.state.exhausted()) {
      map.state.cost_ns = static_cast<std::uint32_t>(random() % 100'000);
      const std::uint32_t wanted = map.state.chunk_items(1 + static_cast<unsigned>(random() % 8));
      const ItemRange range = map.state.take(wanted);
      REQUIRE(range.count > 0);
      REQUIRE(range.count <= wanted);
      REQUIRE(range.first + range.count <= n);
      for (std::uint32_t i = 0; i < range.count; ++i) ++out[range.first + i];
      still_out += range.count;
      if (random() % 3 == 0) {  // a later part comes back
        const auto back = static_cast<std::uint32_t>(random() % range.count);
        if (back == 0) continue;
        map.state.taken_back.push_back({range.first + range.count - back, back});
        for (std::uint32_t i = range.count - back; i < range.count; ++i) --out[range.first + i];
        still_out -= back;
      }
      REQUIRE(map.state.unassigned() == n - still_out);
    }
    CHECK(out == std::vector<int>(n, 1));
  }
}
