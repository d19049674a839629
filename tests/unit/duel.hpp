// Two threads that do one thing each at the very same moment, over and over: what a missing barrier
// between a store and a load lets through shows within some thousand rounds.
#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <thread>

#include "lib/os/cpu.hpp"

namespace pinion::tests {

class Duel {
 public:
  /// For each round: `first` and `second` at once, then `judge`, alone. All get the round's number,
  /// from 1.
  template <class First, class Second, class Judge>
  void fight(std::uint64_t rounds, First first, Second second, Judge judge) {
    std::thread other([&] {
      std::minstd_rand random(2);
      for (std::uint64_t n = 1; n <= rounds; ++n) {
        here_[1].store(n, std::memory_order_release);
        await(here_[0], n);
        hesitate(random);
        second(n);
        done_.store(n, std::memory_order_release);
      }
    });
    std::minstd_rand random(1);
    for (std::uint64_t n = 1; n <= rounds; ++n) {
      await(here_[1], n);
      here_[0].store(n, std::memory_order_release);
      hesitate(random);
      first(n);
      await(done_, n);
      judge(n);
    }
    other.join();
  }

 private:
  static void await(const std::atomic<std::uint64_t>& word, std::uint64_t n) {
    for (unsigned spins = 1; word.load(std::memory_order_acquire) < n; ++spins) {
      if (spins % 256 == 0) std::this_thread::yield();  // the other may want this core
    }
  }
  /// A few nanoseconds more or less, so that every order is met.
  static void hesitate(std::minstd_rand& random) {
    for (auto n = random() % 128; n > 0; --n) std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  struct alignas(128) Word : std::atomic<std::uint64_t> {};
  Word here_[2]{};
  Word done_{};
};

}  // namespace pinion::tests
