// How long to look for work before sleeping.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pinion::os {

/// Spinning pays where the wait is shorter than a wake-up costs. Waits tend to be like those before
/// them: after a wait that was too long for it the budget is halved, and whoever spins on a core
/// that others need soon stops; after one that was short enough it is whole again.
class SpinBudget {
 public:
  explicit SpinBudget(std::int64_t most_ns) noexcept : most_ns_(most_ns), now_ns_(most_ns) {}

  [[nodiscard]] std::int64_t ns() const noexcept { return now_ns_; }

  /// A wait has ended, after so long, sleep included.
  void waited(std::int64_t ns) noexcept {
    now_ns_ = ns <= most_ns_ ? most_ns_ : std::max(now_ns_ / 2, least_ns);
  }

 private:
  static constexpr std::int64_t least_ns = 1'000;

  std::int64_t most_ns_;
  std::int64_t now_ns_;
};

}  // namespace pinion::os
