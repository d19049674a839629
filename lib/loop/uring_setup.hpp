// Making a ring: which flags, how large, and what to do where the kernel refuses.
#pragma once

#include <liburing.h>

#include <string>

#include "lib/os/error.hpp"

namespace pinion::loop {

/// One io_uring instance of one thread.
class Ring {
 public:
  /// Makes a ring and tries it with one operation. Throws `std::system_error`, whose text names
  /// the call that was refused, after waiting about a quarter of a second for locked memory at most
  /// (ENOMEM: it is counted per user, and given back late).
  Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  /// Only after every operation has ended.
  ~Ring();

  io_uring* operator->() noexcept { return &ring_; }
  io_uring* get() noexcept { return &ring_; }
  /// Which flags the kernel took.
  [[nodiscard]] const char* mode() const noexcept { return mode_; }

 private:
  int make(unsigned entries) noexcept;
  void move_descriptor_high() noexcept;
  void require_features() const;
  void try_it();

  io_uring ring_{};
  const char* mode_ = "";
};

/// Whether a failure to make a ring means that io_uring cannot be used here at all; also where
/// what passes elsewhere has lasted.
bool means_not_available(int error) noexcept;

}  // namespace pinion::loop
