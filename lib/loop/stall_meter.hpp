// How long a task holds the loop while others wait for it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/os/clock.hpp"

namespace pinion::loop {

/// Counts stalls: tasks that did not let go of the loop for longer than a limit.
///
/// To read the clock takes as long as to resume a quick coroutine. So several quick tasks are taken
/// for one, until eight of them have held the loop for an eighth of the limit; then each is
/// measured by itself.
class StallMeter {
 public:
  /// A limit of `os::never_ns`: there are none.
  explicit StallMeter(std::int64_t limit_ns) noexcept : limit_ns_(limit_ns) {}

  /// From here on somebody waits for the loop.
  void begin() noexcept {
    now_ns_ = os::now_ns();
    unmeasured_ = 0;
  }
  /// A task has let go of the loop, but the clock may not be read yet.
  void ended() noexcept {
    if (slow_ || ++unmeasured_ == together_max) measure();
  }
  /// What has ended since the clock was read.
  void measure() noexcept {
    const std::int64_t before = now_ns_;
    begin();
    const std::int64_t held = now_ns_ - before;
    slow_ = held > limit_ns_ / together_max;
    if (held <= limit_ns_) return;
    ++stalls_;
    longest_ns_ = std::max(longest_ns_, held);
  }

  /// When the clock was read.
  [[nodiscard]] std::int64_t now_ns() const noexcept { return now_ns_; }
  [[nodiscard]] std::uint32_t stalls() const noexcept { return stalls_; }
  /// The longest of them; 0 where there are none.
  [[nodiscard]] std::int64_t longest_ns() const noexcept { return longest_ns_; }

 private:
  static constexpr unsigned together_max = 8;

  std::int64_t limit_ns_;
  std::int64_t now_ns_ = 0;
  unsigned unmeasured_ = 0;
  bool slow_ = false;
  std::uint32_t stalls_ = 0;
  std::int64_t longest_ns_ = 0;
};

}  // namespace pinion::loop
