// How much memory may still be taken.
#pragma once

#include <cstdint>

namespace pinion::os {

/// What the machine has available and the memory cgroup (v1 or v2, ancestors included) still allows,
/// whichever is less. A hint: it changes at once.
std::uint64_t free_memory_bytes() noexcept;

}  // namespace pinion::os
