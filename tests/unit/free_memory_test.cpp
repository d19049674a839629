#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include <cstdint>
#include <cstring>

#include "lib/os/free_memory.hpp"

using pinion::os::free_memory_bytes;

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

std::uint64_t memory_of_the_machine() {
  struct sysinfo info {};
  ::sysinfo(&info);
  return static_cast<std::uint64_t>(info.totalram) * info.mem_unit;
}

}  // namespace

TEST_CASE("what is free is some, and no more than the machine has") {
  const std::uint64_t free = free_memory_bytes();
  CHECK(free > mib);
  CHECK(free <= memory_of_the_machine());
}

TEST_CASE("memory that was taken is no longer free") {
  const std::uint64_t before = free_memory_bytes();
  const std::uint64_t bytes = 256 * mib;
  if (before < 4 * bytes) {
    MESSAGE("skipped: there is too little memory to take some");
    return;
  }
  // Others take and give back at the same time, so it may need several looks.
  bool seen = false;
  for (int attempt = 0; attempt < 20 && !seen; ++attempt) {
    const std::uint64_t now = free_memory_bytes();
    void* const memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    std::memset(memory, 1, bytes);
    const std::uint64_t with = free_memory_bytes();
    seen = with < now && now - with > bytes / 2 && now - with < 2 * bytes;
    ::munmap(memory, bytes);
  }
  CHECK(seen);
}
