// Workers that do not end: left behind, replaced, and taken down when they have ended after all.

#include <algorithm>
#include <utility>

#include "lib/os/clock.hpp"
#include "lib/os/pidfd.hpp"
#include "lib/pool/fleet.hpp"
#include "lib/pool/locked.hpp"

namespace pinion::pool {

bool Fleet::must_abandon(Lane& lane, std::int64_t now_ns) noexcept {
  if (!lane.alive() || !lane.pidfd || lane.killed_ns == 0) return false;
  if (lane.local != nullptr) {
    // What runs beyond its limit has had its time; else it may just be about to end.
    const bool at_once = !lane.culprit.empty();
    lane.give_up_ns = at_once ? lane.killed_ns : os::add_ns(lane.killed_ns, abandon_thread_ns);
    return now_ns >= lane.give_up_ns && !lane.local->ended();
  }
  if (lane.give_up_ns == 0) lane.give_up_ns = lane.killed_ns + abandon_ns;
  if (now_ns < lane.give_up_ns) return false;
  if (os::sleeps_uninterruptibly(lane.pid)) return true;
  lane.give_up_ns = now_ns + abandon_ns / 10;  // it waits for a core, to die on
  return false;
}

std::vector<int> Fleet::abandon(std::int64_t now_ns) {
  std::vector<int> abandoned;
  for (const auto& lane : state_.lanes) {
    if (must_abandon(*lane, now_ns)) abandoned.push_back(abandon(*lane));
  }
  return abandoned;
}

int Fleet::abandon(Lane& lane) {
  const Turns::Held held = turns_.take_urgently();
  const Locked lock(state_);
  lane.initializing = lane.in_initializer();
  lane.abandoned = true;
  lane.watched = false;
  Abandoned& left = abandoned_.emplace_back();
  left.pidfd = std::move(lane.pidfd);
  ++state_.counters.abandoned;
  state_.arena.arrays()->distrust();
  if (lane.local != nullptr) {
    left.local = lane.local;
    left.segment = lane.segment;
    left.seat = lane.seat;
    state_.arena.adopt(*left.segment);
  }
  burial_.bury(lane, ExitStatus{});
  left.arguments = std::exchange(lane.held, {});
  after_death(lane, ExitStatus{});
  if (state_.serial) state_.in_place.revoke();  // one runs at a time: it was this one
  return left.pidfd.get();
}

bool Fleet::Abandoned::reap() const noexcept {
  return local != nullptr ? local->reap().has_value() : os::reap(pidfd.get()).has_value();
}

/// What a thread kept that has ended after all.
void Fleet::take_back(Abandoned& ended) {
  if (ended.local == nullptr) return;
  const Locked lock(state_);
  for (const ring::BlockRef& block : ended.arguments) {
    state_.arena.give_arguments(block.offset, block.bytes);
    state_.held_arguments -= shm::Space::rounded(block.bytes);
  }
  state_.arena.forget(*ended.segment);
  state_.seats[ended.seat].taken = false;
  dispatcher_.feed_if_possible();
}

std::vector<os::Fd> Fleet::reap_abandoned() {
  const auto ended = std::stable_partition(abandoned_.begin(), abandoned_.end(),
                                           [](const Abandoned& a) { return !a.reap(); });
  std::vector<os::Fd> gone;
  for (auto it = ended; it != abandoned_.end(); ++it) {
    take_back(*it);
    gone.push_back(std::move(it->pidfd));
  }
  abandoned_.erase(ended, abandoned_.end());
  return gone;
}

}  // namespace pinion::pool
