// What a spinning thread asks of its core.
#pragma once

#include <sched.h>

namespace pinion::os {

/// One turn of a spin loop: lets the other hardware thread of the core go first.
inline void pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

/// Rounds of a spin loop that look without a pause. A pause costs up to 140 cycles on some cores,
/// a large part of a cache line's round trip; after about a microsecond that no longer matters.
inline constexpr unsigned eager_rounds = 400;

/// The core this thread runs on now; a hint, it may move at once. -1 where unknown.
inline int current_cpu() noexcept { return ::sched_getcpu(); }

}  // namespace pinion::os
