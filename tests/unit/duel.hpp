// Two threads that do one thing each at the very same moment, over and over: what a missing barrier
// between a store and a load lets through shows within some thousand rounds.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <random>
#include <thread>

namespace pinion::tests {

class Duel {
 public:
  /// For each round: `first` and `second` at once, then `judge`, alone. All get the round's number,
  /// from 1.
  template <class First, class Second, class Judge>
  void fight(std::uint64_t rounds, First first, Second second, Judge judge) {
    const OwnCores cores;
    std::thread other([&] {
      cores.go_to(1);
      std::minstd_rand random(2);
      for (std::uint64_t n = 1; n <= rounds; ++n) {
        here_[1].store(n, std::memory_order_release);
        await(here_[0], n);
        hesitate(random);
        second(n);
        done_.store(n, std::memory_order_release);
      }
    });
    cores.go_to(0);
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
  /// Two cores of those that the thread may use; its binding is as before in the end.
  class OwnCores {
   public:
    OwnCores() {
      CPU_ZERO(&before_);
      ::sched_getaffinity(0, sizeof before_, &before_);
      for (std::size_t cpu = 0; cpu < CPU_SETSIZE && count_ < 2; ++cpu) {
        if (CPU_ISSET(cpu, &before_)) cpus_[count_++] = cpu;
      }
    }
    ~OwnCores() { ::sched_setaffinity(0, sizeof before_, &before_); }
    OwnCores(const OwnCores&) = delete;
    OwnCores& operator=(const OwnCores&) = delete;
    /// The calling thread, to the first or second; wherever it may where there is but one.
    void go_to(std::size_t which) const {
      if (count_ < 2) return;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpus_[which], &one);
      ::sched_setaffinity(0, sizeof one, &one);
    }

   private:
    cpu_set_t before_;
    std::size_t cpus_[2]{};
    std::size_t count_ = 0;
  };

  static void await(const std::atomic<std::uint64_t>& word, std::uint64_t n) {
    for (unsigned spins = 1; word.load(std::memory_order_acquire) < n; ++spins) {
      if (spins % 256 == 0) std::this_thread::yield();  // the other may want this core
    }
  }
  /// Some 100 nanoseconds more or less, now and then far more than a membarrier takes, so that
  /// every order is met.
  static void hesitate(std::minstd_rand& random) {
    const auto most = random() % 32 == 0 ? 300'000U : 512U;
    for (auto n = random() % most; n > 0; --n) std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  struct alignas(128) Word : std::atomic<std::uint64_t> {};
  Word here_[2]{};
  Word done_{};
};

}  // namespace pinion::tests
