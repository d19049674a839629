// Whose turn it is to collect: callers that wait, and those who need the baton for a moment.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "lib/os/clock.hpp"
#include "lib/os/cpu.hpp"
#include "lib/pool/backstop.hpp"
#include "lib/pool/collector.hpp"
#include "lib/pool/locked.hpp"
#include "lib/pool/state.hpp"
#include "lib/pool/takeback.hpp"

namespace pinion::pool {

class Turns {
 public:
  Turns(State& state, Collector& collector, TakeBack& takeback) noexcept
      : state_(state), collector_(collector), takeback_(takeback) {}

  /// Waits until the entry is done or the deadline passes; collects meanwhile, if nobody else does.
  bool wait_for(LedgerEntry& entry, std::int64_t deadline_ns);
  /// Waits until fewer than `max_pending` items are pending, or nothing is accepted any more.
  bool wait_for_room(std::int64_t deadline_ns);
  /// Waits until nothing is pending; collects meanwhile.
  bool wait_for_drain(std::int64_t deadline_ns);
  /// Waits until `reached`, of which those who wait for `subject` are told, or the deadline passes.
  bool wait_until(const void* subject, const std::function<bool()>& reached,
                  std::int64_t deadline_ns);
  /// Waits until `reached`, which a post to the callbacks may bring about.
  void wait_for_callbacks(const std::function<bool()>& reached);
  /// Takes in what has arrived, if nobody else collects.
  void poll();
  /// The start method `serial`: the calling thread runs the workers until nothing is left to do,
  /// when it is its turn. False if there was nothing, or it was not by the deadline; inside a task
  /// of the pool, whose turn goes on.
  bool run_in_place(std::int64_t deadline_ns);
  /// One round of it, without collecting.
  bool run_workers_here();
  void refuse_own_workers() const;

  // For those who sleep in a loop of their own (LoopCollector).
  /// Throws `std::logic_error` in a task of a pool whose workers are this process's own, which
  /// would wait for itself.
  void require_other_workers() const;
  /// Nothing runs but what a caller runs: `run_in_place`, and no baton is taken.
  [[nodiscard]] bool in_place() const noexcept { return state_.serial; }
  /// Takes the baton where it is free, or the service thread's, which collects for others only.
  /// The pool may have ended: then nothing else here may be called.
  bool take_in_loop() noexcept;
  struct Parked {
    std::uint32_t word;
    std::int64_t until_ns;
    bool soon;  // because a worker may be stuck
  };
  // The owner's:
  void begin_in_loop() noexcept;
  /// True if anything had arrived.
  bool collect_in_loop();
  [[nodiscard]] bool must_yield() const noexcept { return state_.baton.urgently_wanted(); }
  /// One round without work. False when it is time to sleep.
  bool relax(std::int64_t& idle_since_ns, unsigned& rounds) noexcept;
  /// Empty, and it has not parked, where there is something to do.
  std::optional<Parked> park_in_loop();
  /// `idle_since_ns`: when it began to look for work; 0 if that is not known.
  void unpark(const Parked& parked, std::int64_t idle_since_ns) noexcept;
  void leave_loop() noexcept { leave(true); }
  /// Readable when the owner that has parked is rung. The owner's alone.
  [[nodiscard]] int bell_fd() const noexcept { return state_.bell_eventfd.get(); }
  /// Sleeps without the baton from here on, or no more. Any caller.
  void count_unserved(int by) noexcept {
    state_.unserved.fetch_add(static_cast<unsigned>(by), std::memory_order_seq_cst);
  }

  /// Called by the baton's owner after it has collected, and after burials.
  void take_back_due();

  /// The baton, for as long as this lives.
  class Held {
   public:
    /// It has been taken already. `back_soon`: its owner takes it again, unless a callback lasts.
    explicit Held(Turns& turns, bool back_soon = false) noexcept
        : turns_(turns), back_soon_(back_soon) {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() { turns_.leave(back_soon_); }

   private:
    Turns& turns_;
    bool back_soon_;
  };
  /// Takes the baton from whoever has it, soon.
  [[nodiscard]] Held take_urgently() noexcept {
    become_owner();
    return Held(*this);
  }

 private:
  void become_owner() noexcept;
  void leave(bool back_soon) noexcept;
  bool wait_for_fewer(std::uint64_t limit, bool or_refusing, std::int64_t deadline_ns);
  enum class Turn { reached, timed_out, handed_on };

  template <class Announce, class Reached>
  bool wait(const void* subject, Announce&& announce, Reached&& reached, std::int64_t deadline_ns,
            bool back_soon = false);
  /// As owner: until reached, out of time, or somebody else must have the baton.
  template <class Reached>
  Turn collect_until(Reached&& reached, std::int64_t deadline_ns);
  template <class Reached>
  Turn collect_as_owner(Reached&& reached, std::int64_t deadline_ns, bool back_soon);
  [[nodiscard]] bool awaits_successor() const;
  template <class Reached>
  bool wait_in_place(Reached&& reached, std::int64_t deadline_ns);
  template <class Reached>
  void park(Reached&& reached, std::int64_t deadline_ns);
  void note_core() noexcept;
  template <class LiesThere>
  void judge(const Baton::Waiter& waiter, LiesThere&& lies_there) noexcept;
  [[nodiscard]] bool baton_lies_free() const noexcept {
    return state_.baton.holder() == Baton::Holder::nobody;
  }

  static constexpr std::int64_t handing_over_ns = 1'000'000;
  static constexpr std::int64_t ask_again_ns = 1'000'000;  // who must have the baton soon
  static constexpr std::int64_t balance_ns = 1'000'000;    // how soon a stuck worker is noticed

  State& state_;
  Collector& collector_;
  TakeBack& takeback_;
};

}  // namespace pinion::pool
