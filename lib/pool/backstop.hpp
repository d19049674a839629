// Backstops. Whoever sleeps looks again after a second, or is looked after once a second, although
// it is rung, told or handed the baton when there is something for it. So such a look must find
// nothing: what it finds is a wake-up that was lost, and `PoolStats::late_wakeups` counts it.
//
// A look may fall between what a waker stores and its bell. So what it finds is suspected only, and
// counts if the bell has not come a while later.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/os/clock.hpp"
#include "lib/pool/state.hpp"

namespace pinion::pool {

inline constexpr std::int64_t backstop_ns = 1'000'000'000;
/// How late a bell may be on a busy machine. One that is lost costs this beyond the backstop.
inline constexpr std::int64_t suspicion_ns = 100'000'000;

/// Looks after workers, which sleep without a bound: they cannot know whether anything is expected
/// of them, and an idle one must not wake every second. Called by: the service thread.
class Backstop {
 public:
  explicit Backstop(State& state) : state_(state) { suspects_.reserve(state.workers); }

  /// Looks if it is time to.
  void look(std::int64_t now_ns);
  /// When it is. Never while nothing is outstanding: who submits then tells the service thread.
  [[nodiscard]] std::int64_t next_ns(std::int64_t now_ns);
  /// The same, as it was said last.
  [[nodiscard]] std::int64_t due_ns() const noexcept { return next_ns_; }

 private:
  struct Suspect {
    Lane* lane;
    std::uint32_t generation;
    std::uint32_t bell;      // its word
    std::uint64_t consumed;  // how far it had come
  };

  [[nodiscard]] bool outstanding() const noexcept;
  void suspect();
  void judge();

  State& state_;
  std::int64_t next_ns_ = os::never_ns;
  std::vector<Suspect> suspects_;
};

}  // namespace pinion::pool
