// Values beyond 4 GiB (edge case 20). They exist in shared memory only: a codec writes and reads
// them piece by piece. Skipped where there is not memory enough.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr std::size_t huge = 4200 * mib;
static_assert(huge > UINT32_MAX);

/// Whether so much is free that 4.2 GiB of it are nobody's trouble; says so if not.
bool enough_memory() {
  const long free_kib = field_of("/proc/meminfo", "MemAvailable");
  if (free_kib >= 16L << 20) return true;
  std::printf("skipped: %ld MiB of memory are available, and 16 GiB are asked for\n",
              free_kib >> 10);
  return false;
}

PoolOptions roomy() { return {.processes = 1, .arena_bytes = 5000 * mib}; }

/// `bytes` bytes, of which each MiB begins with its number.
struct Huge {
  std::uint64_t bytes = 0;
};

}  // namespace

template <>
struct pinion::codec<Huge> {
  static std::size_t size(const Huge& h) { return sizeof h.bytes + h.bytes; }
  static void encode(pinion::Writer& to, const Huge& h) {
    to.value(h.bytes);
    std::vector<char> piece(mib);
    for (std::uint64_t i = 0; i < h.bytes / mib; ++i) {
      std::memcpy(piece.data(), &i, sizeof i);
      to.bytes(piece.data(), piece.size());
    }
  }
  static Huge decode(pinion::Reader& from) {
    const auto bytes = from.number<std::uint64_t>();
    for (std::uint64_t i = 0; i < bytes / mib; ++i) {
      std::uint64_t found = 0;
      std::memcpy(&found, from.take(mib), sizeof found);
      if (found != i) throw pinion::EncodingError("piece " + std::to_string(i) + " is another");
    }
    return {bytes};
  }
};

TEST_CASE("an argument beyond 4 GiB (edge case 20)") {
  if (!enough_memory()) return;
  CheckedPool pool(roomy());
  CHECK(pool.apply([](Huge h) { return h.bytes; }, Huge{huge}) == huge);
}

TEST_CASE("a result beyond 4 GiB (edge case 20)") {
  if (!enough_memory()) return;
  CheckedPool pool(roomy());
  CHECK(pool.apply([](std::uint64_t n) { return Huge{n}; }, huge).bytes == huge);
}

TEST_CASE("a shared array beyond 4 GiB (edge case 20)") {
  if (!enough_memory()) return;
  CheckedPool pool(roomy());
  pinion::SharedArray<char> a(pool, huge);
  a[huge - 1] = 'e';
  CHECK(pool.apply(
            [](pinion::SharedArray<char> b) {
              b[0] = 'b';
              return b[b.size() - 1];
            },
            a) == 'e');
  CHECK(a[0] == 'b');
}

TEST_CASE("values beyond the limit are errors that name it, whatever their size (edge case 20)") {
  CheckedPool pool(PoolOptions{.processes = 1, .arena_bytes = 64 * mib});
  for (const std::uint64_t bytes : {std::uint64_t{huge}, std::uint64_t{1} << 40}) {
    CHECK_THROWS_AS(pool.apply([](std::uint64_t n) { return Huge{n}; }, bytes),
                    pinion::ResourceError);
  }
  CHECK(pool.apply([](int x) { return x + 1; }, 1) == 2);
}
