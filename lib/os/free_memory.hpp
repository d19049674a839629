// How much memory may still be taken.
#pragma once

#include <cstdint>
#include <string>

namespace pinion::os {

/// What the machine has available and the memory cgroup (v1 or v2, ancestors included) still
/// allows, whichever is less. A hint: it changes at once. `root` is where /proc and /sys are looked
/// for.
std::uint64_t free_memory_bytes(const std::string& root = {}) noexcept;

}  // namespace pinion::os
