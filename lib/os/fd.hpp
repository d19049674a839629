// One owner of a file descriptor.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <utility>

#include "lib/os/error.hpp"

namespace pinion::os {

class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

/// Where pinion keeps its descriptors, so that the low numbers stay the user's: from 1024 up, or
/// the upper half of a smaller limit.
inline int descriptor_floor() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 2048) return 1024;
  return static_cast<int>(limit.rlim_cur / 2);
}

/// Moves a descriptor to `descriptor_floor()` or above (close-on-exec); where there is no room it
/// stays where it is.
inline Fd move_high(Fd fd) noexcept {
  const int high = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, descriptor_floor());
  return high >= 0 ? Fd(high) : std::move(fd);
}

}  // namespace pinion::os
