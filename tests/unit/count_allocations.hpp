// Counts what operator new hands out. Programs that include this link count_allocations.cpp.
#pragma once

#include <cstdint>

namespace pinion::tests {

/// Calls of operator new by this thread so far.
std::uint64_t allocations() noexcept;

}  // namespace pinion::tests
