// Where the calling thread's stack lies.
#pragma once

#include <cstdint>

#include <pinion/detail/api.hpp>

namespace pinion::detail {

/// The addresses `[low, high)`; both 0 where they are unknown.
struct StackBounds {
  std::uintptr_t low = 0;
  std::uintptr_t high = 0;

  [[nodiscard]] bool holds(std::uintptr_t address) const noexcept {
    return address - low < high - low;
  }
};

/// The calling thread's own stack, asked for once a thread. A thread that runs on a stack which it
/// made itself (a fiber, a signal stack) still gets the one that it was born with.
PINION_API const StackBounds& calling_stack() noexcept;

}  // namespace pinion::detail
