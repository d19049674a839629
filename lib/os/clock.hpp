// Monotonic time in nanoseconds. There is no other clock in pinion.
#pragma once

#include <ctime>

#include <cstdint>
#include <limits>

namespace pinion::os {

inline std::int64_t now_ns() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

inline constexpr std::int64_t never_ns = std::numeric_limits<std::int64_t>::max();

/// `start + length`, saturating at `never_ns`. Both not negative.
inline std::int64_t add_ns(std::int64_t start, std::int64_t length) noexcept {
  return length > never_ns - start ? never_ns : start + length;
}

/// The deadline `length` from now; `never_ns` without reading the clock where there is none.
inline std::int64_t deadline_ns(std::int64_t length) noexcept {
  return length == never_ns ? never_ns : add_ns(now_ns(), length);
}

inline timespec to_timespec(std::int64_t ns) noexcept {
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

}  // namespace pinion::os
