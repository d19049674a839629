// Whether a block that another process names lies where it may.
#pragma once

#include <cstdint>

#include "lib/ring/mutant.hpp"

namespace pinion::shm {

/// Whether [offset, offset + bytes) lies in [begin, end). Any numbers: their sum may overflow, so
/// it is not formed.
constexpr bool lies_within(std::uint64_t offset, std::uint64_t bytes, std::uint64_t begin,
                           std::uint64_t end, ring::Mutant mutant = ring::built_mutant) noexcept {
  if (mutant == ring::Mutant::unchecked_end) {
    return offset >= begin && offset + bytes <= end;
  }
  return offset >= begin && offset <= end && bytes <= end - offset;
}

}  // namespace pinion::shm
