// The bell: how one side that sleeps is told that there is something in a ring.
//
// One 32-bit word a sleeper, in the bell page. Low two bits: where the sleeper is; the rest
// counts, so that a sleeper that sleeps again is not woken by a bell of before.
//
//   bits 31..2   count, one more at each change
//   bits  1..0   awake, on_futex, in_loop, full
//
//   who changes what
//   the sleeper   awake -> on_futex | in_loop | full, and back, by compare-exchange
//   a waker       parked -> awake, by compare-exchange; who succeeds makes the one system call
//
// EDGE bell: the waker stores its slot, then loads the word; the sleeper stores the word, then
// looks at the slots. Between the two stands a full barrier on both sides, or else both could miss
// each other. With membarrier the sleeper issues it for everybody and the waker's is a compiler
// barrier only. Benign race: a waker that sees the word just before the sleeper leaves by itself
// makes one needless wake, or fails its compare-exchange and makes none.
//
// A bell decides nothing. It is a hint, and a lost one costs the sleeper's backstop.
#pragma once

#include <cstdint>

#include "lib/ring/edge.hpp"

namespace pinion::ring {

template <class Atomics>
class BasicBell {
 public:
  using Word = typename Atomics::template Word<std::uint32_t>;
  enum Where : std::uint32_t { awake = 0, on_futex = 1, in_loop = 2, full = 3 };

  BasicBell() noexcept = default;
  /// `word` lies in the bell page; `eventfd` wakes a sleeper that is in its loop (-1: it never is).
  BasicBell(Word* word, int eventfd, Fencing fencing) noexcept
      : word_(word), eventfd_(eventfd), fencing_(fencing) {}

  static constexpr Where where(std::uint32_t word) noexcept {
    return static_cast<Where>(word & where_mask);
  }

  /// Waker: after its slot is stored. True if it made the system call. `urgent` also wakes a
  /// sleeper that is full and could take no task.
  bool ring(bool urgent = false) noexcept {
    fast_barrier<Atomics>(fencing_);  // EDGE bell
    std::uint32_t word = load_behind<Atomics>(*word_, std::memory_order_relaxed);
    if (where(word) == awake) return false;
    if (where(word) == full && !urgent) return false;
    if (Atomics::mutant == Mutant::lost_bell) return false;
    if (Atomics::mutant != Mutant::silent_bell) {
      if (!word_->compare_exchange_strong(word, next(word, awake), std::memory_order_seq_cst)) {
        return false;  // it left by itself, or another has woken it
      }
    }
    if (where(word) != on_futex) {
      Atomics::ring_eventfd(eventfd_);
    } else {
      Atomics::futex_wake(*word_, 1);
    }
    return true;
  }

  /// Wakes the sleeper whatever the word says: workers can write each other's words, and one that
  /// sleeps under a word that says `awake` would never be rung.
  void ring_regardless() noexcept {
    Atomics::futex_wake(*word_, 1);
    Atomics::ring_eventfd(eventfd_);
  }

  /// Sleeper: says where it is going to sleep. It looks at its rings once more after this, and
  /// then sleeps or leaves. Returns the word to sleep on.
  std::uint32_t park(Where place) noexcept {
    const std::uint32_t parked = next(word_->load(std::memory_order_relaxed), place);
    store_before<Atomics>(*word_, parked);
    if (Atomics::mutant != Mutant::no_parking_barrier) {
      rare_barrier<Atomics>(fencing_);  // EDGE bell
    }
    return parked;
  }

  /// Sleeper: sleeps on the futex until rung or until the deadline.
  void sleep(std::uint32_t parked, std::int64_t deadline_ns) const noexcept {
    if (word_->load(std::memory_order_acquire) == parked) {
      Atomics::futex_wait(*word_, parked, deadline_ns);
    }
  }

  /// Sleeper: is awake again. False if somebody had rung.
  bool leave(std::uint32_t parked) noexcept {
    return word_->compare_exchange_strong(parked, next(parked, awake), std::memory_order_seq_cst);
  }

  [[nodiscard]] bool rung(std::uint32_t parked) const noexcept {
    return word_->load(std::memory_order_acquire) != parked;
  }
  [[nodiscard]] Where where() const noexcept { return where(word()); }
  /// Another one at each sleep.
  [[nodiscard]] std::uint32_t word() const noexcept {
    return word_->load(std::memory_order_relaxed);
  }
  [[nodiscard]] int eventfd() const noexcept { return eventfd_; }

 private:
  static constexpr std::uint32_t where_mask = 3;
  static constexpr std::uint32_t next(std::uint32_t word, Where place) noexcept {
    return ((word & ~where_mask) + where_mask + 1) | place;
  }

  Word* word_ = nullptr;
  int eventfd_ = -1;
  Fencing fencing_ = Fencing::symmetric;
};

using Bell = BasicBell<MachineAtomics>;

}  // namespace pinion::ring
