// Whose turn it is to collect: callers that wait, and those who need the baton for a moment.
#pragma once

#include <cstdint>
#include <functional>

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
  template <class Reached>
  void park(Reached&& reached, std::int64_t deadline_ns);
  bool relax(std::int64_t& idle_since_ns, unsigned& rounds) noexcept;
  void note_core() noexcept;
  template <class LiesThere>
  void judge(const Baton::Waiter& waiter, LiesThere&& lies_there) noexcept;
  [[nodiscard]] bool baton_lies_free() const noexcept {
    return state_.baton.holder() == Baton::Holder::nobody;
  }

  static constexpr std::int64_t ask_again_ns = 1'000'000;  // who must have the baton soon
  static constexpr std::int64_t balance_ns = 1'000'000;    // how soon a stuck worker is noticed

  State& state_;
  Collector& collector_;
  TakeBack& takeback_;
};

}  // namespace pinion::pool
