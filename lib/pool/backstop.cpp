#include "lib/pool/backstop.hpp"

#include <algorithm>

#include "lib/os/pidfd.hpp"
#include "lib/pool/locked.hpp"

namespace pinion::pool {

namespace {

/// Task positions below it have left the ring, as the worker says.
std::uint64_t consumed_by(const Lane& lane) noexcept {
  return std::max(lane.worker_line().claimed.load(std::memory_order_acquire),
                  lane.worker_line().read.load(std::memory_order_acquire));
}

/// Whether there is something in its ring for which it must be awake.
bool has_unread(const Lane& lane, std::uint64_t consumed) noexcept {
  const bool listens = lane.state == Lane::State::ready || lane.state == Lane::State::leaving;
  if (!listens || consumed >= lane.tasks.position()) return false;
  // One that is full takes no task, but it is told what else there is.
  if (lane.bell.where() != ring::Bell::full) return true;
  return !lane.controls.empty() && lane.controls.back() >= consumed;
}

}  // namespace

bool Backstop::outstanding() const noexcept {
  return state_.pending.load(std::memory_order_relaxed) != 0 ||
         std::any_of(state_.lanes.begin(), state_.lanes.end(),
                     [](const auto& lane) { return lane->state == Lane::State::leaving; });
}

std::int64_t Backstop::next_ns(std::int64_t now_ns) {
  if (next_ns_ != os::never_ns) return next_ns_;
  const Locked lock(state_);
  if (state_.looked_after || state_.leaving) next_ns_ = now_ns + backstop_ns;
  return next_ns_;
}

void Backstop::look(std::int64_t now_ns) {
  if (now_ns < next_ns(now_ns)) return;
  const Locked lock(state_);
  if (!outstanding()) {
    state_.looked_after = false;
    suspects_.clear();
    next_ns_ = os::never_ns;
    return;
  }
  if (suspects_.empty()) {
    suspect();
  } else {
    judge();
  }
  next_ns_ = now_ns + (suspects_.empty() ? backstop_ns : suspicion_ns);
}

void Backstop::suspect() {
  for (const auto& lane : state_.lanes) {
    if (!lane->alive()) continue;
    const std::uint64_t consumed = consumed_by(*lane);
    if (!has_unread(*lane, consumed)) continue;
    suspects_.push_back({lane.get(), lane->generation, lane->bell.word(), consumed});
  }
}

/// It has slept all the while, over what lies in its ring.
void Backstop::judge() {
  for (const Suspect& suspect : suspects_) {
    Lane& lane = *suspect.lane;
    if (!lane.alive() || lane.generation != suspect.generation) continue;
    if (consumed_by(lane) != suspect.consumed || !has_unread(lane, suspect.consumed)) continue;
    // Under a word that says `awake` it is busy, or a sibling has written over the word.
    const bool slept = lane.bell.word() == suspect.bell && lane.bell.where() != ring::Bell::awake;
    // One that waits for a core may be on its way to its last look.
    const pid_t who = lane.local != nullptr ? lane.local->id() : lane.pid;
    if (slept && os::sleeps(who)) ++state_.counters.late_wakeups;
    lane.bell.ring_regardless();
  }
  suspects_.clear();
}

}  // namespace pinion::pool
