// How the loop of a caller collects for its coroutines: the pools that they wait for, whose batons
// it takes while it has nothing else to do, and gives back before it runs anything.
//
// It looks for work as other callers do, then parks on the bell of each pool that it collects for,
// in its own sleep: in an epoll set with the eventfds of these bells and its own. Where somebody
// else collects, it is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/loop/loop.hpp"
#include "lib/os/clock.hpp"
#include "lib/os/cpu.hpp"
#include "lib/os/fd.hpp"
#include "lib/pool/turns.hpp"

namespace pinion::pool {

/// Used by the loop's thread only, but for `wake`.
class LoopCollector {
 public:
  LoopCollector() = default;
  LoopCollector(const LoopCollector&) = delete;
  LoopCollector& operator=(const LoopCollector&) = delete;

  /// A coroutine more, or less, waits for this pool. Throws `std::bad_alloc`, `std::system_error`.
  void add(Turns& turns);
  void remove(Turns& turns) noexcept;
  [[nodiscard]] bool empty() const noexcept { return pools_.empty(); }

  /// For the loop, from the first `add` on: readable when it is to wake up.
  [[nodiscard]] int wake_fd() const noexcept { return epoll_.get(); }
  /// Wakes the loop. Any thread.
  void wake() noexcept;
  /// Takes back what `wake` has done.
  void drain() noexcept;

  /// Collects until `told()`, or until the loop has something to do; false when it is time to
  /// sleep. Throws `PoolClosed` in a forked child.
  template <class Told>
  bool look(loop::Loop& loop, Told told);
  /// Parks where it collects. Empty, and it has not, where there is something to collect; else how
  /// long one may sleep (CLOCK_MONOTONIC, nanoseconds). Throws `std::system_error`.
  std::optional<std::int64_t> park();
  void unpark() noexcept;
  /// Gives the batons back: coroutines run.
  void leave() noexcept;

 private:
  struct Entry {
    Turns* turns;
    unsigned awaiters = 1;
    bool owned = false;     // its baton
    bool armed = false;     // its bell is in the epoll set
    bool unserved = false;  // asleep while nobody may be collecting
    std::optional<Turns::Parked> parked;
  };
  template <class Told>
  bool collect(Told told);
  /// Of pools whose tasks nobody else runs. They are user code: no baton is held.
  template <class Told>
  bool run_in_place(Told told);
  void arm(Entry& entry, bool on);
  /// Without a baton there is nothing to look at: one sleeps soon.
  bool relax(std::int64_t& idle_since_ns, unsigned& rounds) noexcept;

  static constexpr std::int64_t in_place_look_ns = 1'000'000;
  static constexpr unsigned rounds_without_baton = 200;
  static constexpr unsigned rounds_per_poll = 32;  // of the loop's backend: a system call, mostly

  std::vector<Entry> pools_;
  std::int64_t idle_since_ns_ = 0;
  os::Fd epoll_;
  os::Fd eventfd_;
};

template <class Told>
bool LoopCollector::run_in_place(Told told) {
  bool any = false;
  for (std::size_t i = 0; i < pools_.size() && !told(); ++i) {
    Turns& turns = *pools_[i].turns;
    if (!turns.in_place()) continue;
    leave();
    any = turns.run_in_place(os::now_ns()) || any;
    if (!told()) turns.poll();
  }
  return any;
}

/// A pool may end as soon as the loop was told of the last that it waits for; as long as it was
/// not, and has the baton, nobody else can tell it.
template <class Told>
bool LoopCollector::collect(Told told) {
  bool any = run_in_place(told);
  for (Entry& entry : pools_) {
    if (told()) return any;
    Turns& turns = *entry.turns;
    if (turns.in_place()) continue;
    const bool had = entry.owned;
    if (had && turns.must_yield()) {
      turns.leave_loop();
      entry.owned = false;
      continue;
    }
    entry.owned = had || turns.take_in_loop();
    if (told()) return any;
    if (!entry.owned) continue;
    if (!had) turns.begin_in_loop();
    any = turns.collect_in_loop() || any;
  }
  return any;
}

template <class Told>
bool LoopCollector::look(loop::Loop& loop, Told told) {
  unsigned rounds = 0;
  idle_since_ns_ = 0;
  for (unsigned turn = 0;; ++turn) {
    const bool any = collect(told);
    if (told()) return true;
    if (turn % rounds_per_poll == 0 && loop.in_flight()) {
      loop.poll();
      if (loop.has_ready()) return true;
    }
    if (any) {
      rounds = 0;
      idle_since_ns_ = 0;
    } else if (!relax(idle_since_ns_, rounds)) {
      return false;
    }
  }
}

}  // namespace pinion::pool
