// The baton: who collects results. One at a time, whoever waits.
//
// A waiter tries to take it; who has it drains, spins and parks on the manager's bell. The others
// are on a list and sleep on words of their own. An owner that leaves hands it to one of the list,
// an urgent one first; with nobody listed it is free, and nobody makes a system call.
//
// EDGE baton: the owner that leaves stores `free`, then looks at the list once more; who enlists
// counts itself, then tries to take. Both are sequentially consistent, so one of them sees the
// other: the baton does not lie about while somebody waits.
#pragma once

#include <cstdint>
#include <mutex>

#include "lib/ring/atomics.hpp"

namespace pinion::pool {

template <class Atomics, class Mutex>
class BasicBaton {
  using Word = typename Atomics::template Word<std::uint32_t>;

 public:
  enum class Holder : std::uint32_t { nobody, caller, service };

  /// One who waits. On the waiter's own stack.
  struct Waiter {
    enum State : std::uint32_t { waiting, handed, told };
    const void* subject = nullptr;  // what it waits for; null: for the baton alone
    bool urgent = false;
    Word word{waiting};
    Waiter* previous = nullptr;
    Waiter* next = nullptr;
  };

  /// Takes it if nobody has it.
  bool try_take(Holder holder) noexcept {
    auto expected = static_cast<std::uint32_t>(Holder::nobody);
    return holder_.compare_exchange_strong(expected, static_cast<std::uint32_t>(holder),
                                           std::memory_order_seq_cst);
  }
  /// Owner: gives it to a listed waiter, else to nobody.
  void leave() noexcept;
  /// Owner: whether a waiter asks for it that must not wait.
  [[nodiscard]] bool urgently_wanted() const noexcept {
    return urgent_.load(std::memory_order_relaxed) != 0;
  }
  /// Owner: whether anybody is listed.
  [[nodiscard]] bool wanted() const noexcept {
    return listed_.load(std::memory_order_relaxed) != 0;
  }
  [[nodiscard]] Holder holder() const noexcept {
    return static_cast<Holder>(holder_.load(std::memory_order_seq_cst));
  }
  /// The owner that took it by being handed it.
  void set_holder(Holder holder) noexcept {
    holder_.store(static_cast<std::uint32_t>(holder), std::memory_order_relaxed);
  }

  void enlist(Waiter& waiter) noexcept;
  /// Leaves the list. True if it was handed the baton meanwhile, which it now owns.
  bool delist(Waiter& waiter) noexcept;
  /// Tells those who wait for `subject` that they need not any more. Any thread.
  void tell(const void* subject) noexcept;

  /// Sleeps until it was handed or told, or until the deadline.
  static void sleep(const Waiter& waiter, std::int64_t deadline_ns) noexcept {
    if (waiter.word.load(std::memory_order_acquire) == Waiter::waiting) {
      Atomics::futex_wait(waiter.word, Waiter::waiting, deadline_ns);
    }
  }

 private:
  Waiter* pick() noexcept;
  void unlink(Waiter& waiter) noexcept;

  Word holder_{0};
  Word listed_{0};
  Word urgent_{0};
  Mutex mutex_;  // of the list
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

using Baton = BasicBaton<ring::MachineAtomics, std::mutex>;

}  // namespace pinion::pool
