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
inline void ring_eventfd(int fd) noexcept {
  const std::uint64_t one = 1;
  (void)!::write(fd, &one, sizeof one);
}

inline void drain_eventfd(int fd) noexcept {
  std::uint64_t count = 0;
  (void)!::read(fd, &count, sizeof count);
}

}  // namespace pinion::os
