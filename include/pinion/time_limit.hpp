// Durations and deadlines, all on the monotonic clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace pinion {

/// A number of nanoseconds made from any `std::chrono::duration`, saturating; zero or negative
/// means "poll".
class Duration {
 public:
  constexpr Duration() noexcept = default;

  template <class Rep, class Period>
  constexpr Duration(std::chrono::duration<Rep, Period> d) noexcept  // NOLINT: implicit by design
      : ns_(saturate(d)) {}

  /// Nanoseconds; never negative.
  [[nodiscard]] constexpr std::int64_t ns() const noexcept { return ns_; }

  static constexpr std::int64_t ns_max = std::numeric_limits<std::int64_t>::max();

 private:
  template <class Rep, class Period>
  static constexpr std::int64_t saturate(std::chrono::duration<Rep, Period> d) noexcept {
    const auto ns = std::chrono::duration_cast<std::chrono::duration<long double, std::nano>>(d);
    if (!(ns.count() > 0)) return 0;  // negative and NaN poll as well
    if (ns.count() >= static_cast<long double>(ns_max)) return ns_max;
    return static_cast<std::int64_t>(ns.count());
  }

  std::int64_t ns_ = 0;
};

/// A limit of time in options: none by default, else a duration.
class TimeLimit {
 public:
  constexpr TimeLimit() noexcept = default;

  template <class Rep, class Period>
  constexpr TimeLimit(std::chrono::duration<Rep, Period> d) noexcept  // NOLINT: implicit by design
      : ns_(Duration(d).ns()) {}
  constexpr TimeLimit(Duration d) noexcept : ns_(d.ns()) {}  // NOLINT: implicit by design

  /// Whether there is a limit at all.
  [[nodiscard]] constexpr bool limited() const noexcept { return ns_ != none_ns; }
  /// The limit in nanoseconds; `Duration::ns_max` where there is none.
  [[nodiscard]] constexpr std::int64_t ns() const noexcept { return ns_; }

 private:
  static constexpr std::int64_t none_ns = Duration::ns_max;
  std::int64_t ns_ = none_ns;
};

}  // namespace pinion
