// Eventfds: the bell of a sleeper that waits for descriptors as well.
#pragma once

#include <sys/eventfd.h>

#include <cstdint>

#include "lib/os/fd.hpp"

namespace pinion::os {

inline Fd make_eventfd() {
  return move_high(Fd(check(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "making an eventfd")));
}

/// Never blocks: a full counter means that the sleeper is already told.
inline void ring_eventfd(int fd, std::uint64_t count = 1) noexcept {
  (void)!::write(fd, &count, sizeof count);
}

/// What was rung since, together.
inline std::uint64_t drain_eventfd(int fd) noexcept {
  std::uint64_t count = 0;
  (void)!::read(fd, &count, sizeof count);
  return count;
}

}  // namespace pinion::os
