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
