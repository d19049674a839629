// What the protocols of this folder are written upon: atomic words, fences, messages in shared
// memory, and the system calls that sleep and wake. A protocol takes them as a policy, `Atomics`:
// the machine's own here; in tests/explore a model of memory that tries every order of events.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "lib/os/eventfd.hpp"
#include "lib/os/futex.hpp"
#include "lib/os/membarrier.hpp"
#include "lib/ring/mutant.hpp"

#if defined(__SANITIZE_THREAD__)
#define PINION_THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PINION_THREAD_SANITIZER
#endif
#endif

namespace pinion::ring {

/// Copies a message that the other side may be writing: every word is read exactly once, so what
/// was checked is what is used.
template <class Message>
inline void copy_once(Message& to, const Message& from) noexcept {
  static_assert(sizeof(Message) % sizeof(std::uint64_t) == 0);
  constexpr std::size_t words = sizeof(Message) / sizeof(std::uint64_t);
  std::uint64_t local[words];
  const auto* source = reinterpret_cast<const std::uint64_t*>(&from);
  for (std::size_t i = 0; i < words; ++i) {
    local[i] = __atomic_load_n(source + i, __ATOMIC_RELAXED);
  }
  std::memcpy(&to, local, sizeof to);
}

struct MachineAtomics {
#ifdef PINION_MUTANTS
  static inline const Mutant& mutant = built_mutant;
#else
  static constexpr Mutant mutant = built_mutant;
#endif
  /// A race detector knows neither fences nor membarrier: where two words stand in a
  /// store-then-load edge, it is shown read-modify-writes instead.
#ifdef PINION_THREAD_SANITIZER
  static constexpr bool fences_by_rmw = true;
#else
  static constexpr bool fences_by_rmw = false;
#endif

  template <class T>
  using Word = std::atomic<T>;

  static void compiler_barrier() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }
  static void full_fence() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }
  /// A full fence in every thread of every registered process.
  static void membarrier() noexcept { os::membarrier_all(); }

  /// A message as it lies in a slot.
  template <class Message>
  using Stored = Message;
  template <class Message>
  static void put(Message& to, const Message& message) noexcept {
    to = message;
  }
  template <class Message>
  static void get(Message& message, const Message& from) noexcept {
    copy_once(message, from);
  }

  static void futex_wait(const Word<std::uint32_t>& word, std::uint32_t expected,
                         std::int64_t deadline_ns) noexcept {
    os::futex_wait(word, expected, deadline_ns);
  }
  static void futex_wake(const Word<std::uint32_t>& word, int count) noexcept {
    os::futex_wake(word, count);
  }
  static void ring_eventfd(int fd) noexcept { os::ring_eventfd(fd); }
};

}  // namespace pinion::ring
