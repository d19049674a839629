// The pool's lock, and the bells that are rung when it is let go.
#pragma once

#include <array>
#include <mutex>
#include <utility>

#include "lib/pool/state.hpp"

namespace pinion::pool {

/// Holds the lock. A wake is a system call of 7 us, so it is made after the lock is let go.
class Locked {
 public:
  explicit Locked(State& state) : state_(state), lock_(state.mutex) {}
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
  ~Locked() { unlock(); }

  /// After `unlock`.
  void lock() { lock_.lock(); }
  void unlock() noexcept {
    if (!lock_.owns_lock()) return;
    if (state_.must_tell_service || state_.timed_check_moved || state_.must_look_after)
        [[unlikely]] {
      const bool only_look = !state_.must_tell_service && !state_.timed_check_moved;
      state_.must_tell_service = state_.timed_check_moved = state_.must_look_after = false;
      os::ring_eventfd(state_.eventfd.get(), only_look ? State::look_after : 1);
    }
    if (state_.dead_sides != nullptr) [[unlikely]] {
      detail::Side* const dead = std::exchange(state_.dead_sides, nullptr);
      ring_and_unlock();
      delete_sides(dead);
      return;
    }
    ring_and_unlock();
  }

 private:
  void ring_and_unlock() noexcept {
    if (state_.to_ring.empty()) {
      lock_.unlock();
      return;
    }
    struct Ring {
      Lane* lane;
      bool urgent;
    };
    std::array<Ring, 16> rings;
    std::size_t count = 0;
    for (Lane* lane : state_.to_ring) {
      const bool urgent = std::exchange(lane->urgent, false);
      lane->pushed = false;
      if (count < rings.size()) {
        rings[count++] = {lane, urgent};
      } else {
        ring(*lane, urgent);
      }
    }
    state_.to_ring.clear();
    lock_.unlock();
    for (std::size_t i = 0; i < count; ++i) ring(*rings[i].lane, rings[i].urgent);
  }

  void ring(Lane& lane, bool urgent) noexcept {
    const bool woken = lane.bell.ring(urgent);
    if (woken) state_.wakes.fetch_add(1, std::memory_order_relaxed);
    if (lane.woken.load(std::memory_order_relaxed) != woken) {
      lane.woken.store(woken, std::memory_order_relaxed);
    }
  }

  State& state_;
  std::unique_lock<std::mutex> lock_;
};

}  // namespace pinion::pool
