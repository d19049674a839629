// Waiting without sleeping, the same for every rival.
#pragma once

#include <chrono>
#include <cstdint>

namespace pinion::perf {

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Keeps this CPU awake while the other side falls asleep.
inline void spin_for(std::chrono::microseconds time) {
  const auto end = Clock::now() + time;
  while (Clock::now() < end) pause_cpu();
}

}  // namespace pinion::perf
