// Shared futexes: they work across processes, unlike std::atomic::wait.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

#include "lib/os/clock.hpp"

namespace pinion::os {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
                  sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t),
              "the kernel looks at the word itself");

/// Sleeps while the word is `expected`, at most until `deadline_ns` (monotonic). May return early
/// for no reason, so callers look again.
inline void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                       std::int64_t deadline_ns = never_ns) noexcept {
  const timespec until = to_timespec(deadline_ns);
  // WAIT_BITSET takes an absolute monotonic time; plain WAIT a relative one.
  ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected,
            deadline_ns == never_ns ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

/// Wakes at most `count` sleepers; returns how many.
inline int futex_wake(const std::atomic<std::uint32_t>& word, int count = INT_MAX) noexcept {
  return static_cast<int>(::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0));
}

}  // namespace pinion::os
