#include <doctest/doctest.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "lib/pool/chunk_outcomes.hpp"

using namespace pinion;
using pool::ChunkOutcomes;
using pool::Lane;
using shm::ItemError;

namespace {

constexpr std::uint64_t begin = 32 * 1024;
constexpr std::uint64_t room = 64 * 1024;
constexpr std::uint64_t end = begin + room;

/// A worker's segment in which only the committed results can be touched: every other access ends
/// the test by a signal.
class Fenced {
 public:
  Fenced() {
    shm::SegmentHeader header{};
    header.kind = shm::SegmentKind::worker;
    lane.results_begin = begin;
    lane.segment = std::make_shared<shm::Segment>(
        "pinion-test", end + (1 << 20), end, shm::Sealed::for_all, header, PROT_READ | PROT_WRITE);
    REQUIRE(::mprotect(base(), begin, PROT_NONE) == 0);
    REQUIRE(::mprotect(base() + end, lane.segment->size() - end, PROT_NONE) == 0);
  }
  ~Fenced() { ::mprotect(base(), lane.segment->size(), PROT_READ | PROT_WRITE); }
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;

  std::byte* base() const { return lane.segment->begin(); }
  void word(std::uint64_t at, std::uint64_t value) const {
    std::memcpy(base() + at, &value, sizeof value);
  }
  /// An error record with its text behind it.
  void record(std::uint64_t at, std::uint64_t next, std::uint32_t item, ItemError kind,
              const std::string& text) const {
    word(at, next);
    word(at + 8, static_cast<std::uint64_t>(kind) << 32 | item);
    word(at + 16, text.size());
    std::memcpy(base() + at + sizeof(shm::ErrorRecord), text.data(), text.size());
  }
  void clear() const { std::memset(base() + begin, 0, room); }

  Lane lane;
};

std::string text_of(const ChunkOutcomes::Error& error) {
  return {reinterpret_cast<const char*>(error.bytes.data()), error.bytes.size()};
}

/// Reads every byte that is offered, and looks whether it lies where it must.
bool all_inside(const Fenced& fenced, const ChunkOutcomes& outcomes, std::uint32_t count,
                bool marks) {
  unsigned sum = 0;
  const auto inside = [&](std::span<const std::byte> bytes) {
    for (const std::byte b : bytes) sum += std::to_integer<unsigned>(b);
    return bytes.empty() || (bytes.data() >= fenced.base() + begin &&
                             bytes.data() + bytes.size() <= fenced.base() + end);
  };
  if (outcomes.errors().size() > count) return false;
  std::uint32_t before = 0;
  for (const auto& error : outcomes.errors()) {
    if (error.item >= count || !inside(error.bytes)) return false;
    if (&error != &outcomes.errors().front() && error.item <= before) return false;
    before = error.item;
    if (outcomes.error_of(error.item) != &error) return false;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    if (const auto value = outcomes.value(i); value && !inside(*value)) return false;
    if (marks && outcomes.mark(i) > shm::item_ended) return false;
  }
  return sum < 0xffff'ffff;
}

}  // namespace

TEST_CASE("values of one size lie side by side") {
  const Fenced fenced;
  const std::uint64_t block = begin + 128;
  for (std::uint32_t i = 0; i < 5; ++i) fenced.word(block + 64 + i * 8, 100 + i);
  const auto outcomes = ChunkOutcomes::read(fenced.lane, block, 5, 8, false);
  REQUIRE(outcomes);
  CHECK(outcomes->errors().empty());
  CHECK(outcomes->values() == fenced.base() + block + 64);
  for (std::uint32_t i = 0; i < 5; ++i) {
    const auto value = outcomes->value(i);
    REQUIRE(value);
    CHECK(value->data() == outcomes->values() + i * 8);
    CHECK(value->size() == 8);
    CHECK(outcomes->error_of(i) == nullptr);
  }
}

TEST_CASE("values of sizes that differ are found by their references") {
  const Fenced fenced;
  const std::uint64_t refs = begin + 64;
  fenced.word(refs, begin + 4000);
  fenced.word(refs + 8, 10);
  fenced.word(refs + 16, end - 3);
  fenced.word(refs + 24, 3);
  fenced.word(refs + 32, end - 3);  // one byte too long
  fenced.word(refs + 40, 4);
  fenced.word(refs + 48, 0);  // none
  fenced.word(refs + 56, 1);
  fenced.word(refs + 64, begin - 8);  // before the results
  fenced.word(refs + 72, 8);
  fenced.word(refs + 80, begin);  // wraps
  fenced.word(refs + 88, ~std::uint64_t{0} - 100);
  const auto outcomes = ChunkOutcomes::read(fenced.lane, begin, 6, shm::variable_stride, false);
  REQUIRE(outcomes);
  REQUIRE(outcomes->value(0));
  CHECK(outcomes->value(0)->data() == fenced.base() + begin + 4000);
  CHECK(outcomes->value(0)->size() == 10);
  CHECK(outcomes->value(1)->size() == 3);
  for (std::uint32_t i = 2; i < 6; ++i) CHECK_FALSE(outcomes->value(i));
}

TEST_CASE("errors come sorted by item, each with its text and kind") {
  const Fenced fenced;
  fenced.word(begin, begin + 1024);
  fenced.record(begin + 1024, begin + 2048, 1, ItemError::timed_out, "late");
  fenced.record(begin + 2048, begin + 1536, 7, ItemError::exception, "seven");
  fenced.record(begin + 1536, 0, 0, ItemError::cancelled, "");
  const auto outcomes = ChunkOutcomes::read(fenced.lane, begin, 8, 4, false);
  REQUIRE(outcomes);
  REQUIRE(outcomes->errors().size() == 3);
  CHECK(outcomes->errors()[0].item == 0);
  CHECK(outcomes->errors()[2].item == 7);
  REQUIRE(outcomes->error_of(7) != nullptr);
  CHECK(text_of(*outcomes->error_of(7)) == "seven");
  CHECK(outcomes->error_of(1)->kind == ItemError::timed_out);
  CHECK(text_of(*outcomes->error_of(1)) == "late");
  CHECK(outcomes->error_of(0)->kind == ItemError::cancelled);
  CHECK(outcomes->error_of(2) == nullptr);
}

TEST_CASE("marks say how far coroutine items are, and nonsense means unstarted") {
  const Fenced fenced;
  std::byte* const marks = fenced.base() + begin + shm::marks_at(5, 4);
  const std::uint8_t written[] = {2, 1, 0, 3, 255};
  std::memcpy(marks, written, sizeof written);
  const auto outcomes = ChunkOutcomes::read(fenced.lane, begin, 5, 4, true);
  REQUIRE(outcomes);
  CHECK(outcomes->mark(0) == shm::item_ended);
  CHECK(outcomes->mark(1) == shm::item_started);
  for (std::uint32_t i = 2; i < 5; ++i) CHECK(outcomes->mark(i) == shm::item_unstarted);
}

TEST_CASE("a block that does not lie in the results is refused") {
  const Fenced fenced;
  const auto refused = [&](std::uint64_t at, std::uint32_t count, std::uint32_t stride,
                           bool marks) {
    return !ChunkOutcomes::read(fenced.lane, at, count, stride, marks);
  };
  CHECK(refused(0, 2, 8, false));
  CHECK(refused(begin - 8, 2, 8, false));
  CHECK(refused(begin + 4, 2, 8, false));  // not aligned
  CHECK(refused(end, 2, 8, false));
  CHECK(refused(end - 64 - 8, 2, 8, false));
  CHECK_FALSE(refused(end - 64 - 16, 2, 8, false));
  CHECK(refused(end - 64 - 16, 2, 8, true));  // its marks do not fit
  CHECK(refused(~std::uint64_t{7}, 2, 8, false));
  CHECK(refused(begin, 0xffff'ffff, 0xffff'fffe, true));
  CHECK(refused(begin, 0xffff'ffff, 8, false));
  CHECK_FALSE(refused(begin, 1000, 0, false));  // items without a value
}

TEST_CASE("an error list that makes no sense is refused") {
  const Fenced fenced;
  const auto refused = [&] { return !ChunkOutcomes::read(fenced.lane, begin, 3, 8, false); };
  const std::uint64_t at = begin + 1024;
  const auto with = [&](std::uint64_t first, std::uint64_t next, std::uint32_t item,
                        std::uint32_t kind, std::uint64_t bytes) {
    fenced.clear();
    fenced.word(begin, first);
    fenced.word(at, next);
    fenced.word(at + 8, static_cast<std::uint64_t>(kind) << 32 | item);
    fenced.word(at + 16, bytes);
    return refused();
  };
  CHECK_FALSE(with(at, 0, 2, 0, 100));
  CHECK(with(at + 4, 0, 2, 0, 100));                // not aligned
  CHECK(with(end - 16, 0, 2, 0, 100));              // half of it outside
  CHECK(with(8, 0, 2, 0, 100));                     // in front of the results
  CHECK(with(at, at, 2, 0, 100));                   // a circle
  CHECK(with(at, begin - 64, 2, 0, 100));           // leads out
  CHECK(with(at, 0, 3, 0, 100));                    // no such item
  CHECK(with(at, 0, 2, 3, 100));                    // no such kind
  CHECK(with(at, 0, 2, 0, room));                   // too long
  CHECK(with(at, 0, 2, 0, ~std::uint64_t{0} - 8));  // wraps
  fenced.clear();
  fenced.word(begin, at);
  fenced.record(at, at + 64, 1, ItemError::exception, "");
  fenced.record(at + 64, 0, 1, ItemError::exception, "");
  CHECK(refused());  // the same item twice
}

TEST_CASE("whatever a worker writes, nothing outside its results is touched") {
  const Fenced fenced;
  std::mt19937_64 random(20);
  const auto some_offset = [&]() -> std::uint64_t {
    switch (random() % 10) {
      case 0:
        return random();
      case 1:
        return end - random() % 100;
      case 2:
        return begin + 8 - random() % 16;
      case 3:
        return 0;
      case 4:
        return ~std::uint64_t{0} - random() % 100;
      default:
        return begin + random() % room / 8 * 8;
    }
  };
  int accepted = 0;
  for (int round = 0; round < 4000; ++round) {
    if (round % 50 == 0) fenced.clear();
    for (int i = 0; i < 400; ++i) {
      std::uint64_t value = some_offset();
      if (random() % 2 == 0) value = (random() % 4) << 32 | random() % 40;  // an item and its kind
      fenced.word(begin + random() % (round % 2 == 0 ? room / 8 : 128) * 8, value);
    }
    const auto count = static_cast<std::uint32_t>(1 + random() % 40);
    constexpr std::uint32_t strides[] = {0, 1, 4, 8, 100, shm::variable_stride};
    const std::uint32_t stride = strides[random() % 6];
    const bool marks = random() % 2 == 0;
    std::uint64_t block = random() % 4 == 0 ? some_offset() : begin + random() % 64 * 8;
    if (random() % 2 == 0 && block >= begin && block <= end - 8) {  // a list that may go some way
      fenced.word(block, begin + random() % 128 * 8);
    }
    const auto outcomes = ChunkOutcomes::read(fenced.lane, block, count, stride, marks);
    if (!outcomes) continue;
    ++accepted;
    REQUIRE(all_inside(fenced, *outcomes, count, marks));
  }
  CHECK(accepted > 100);
}
