// Children whose Process object is gone while they run: reaped when there is an occasion.
#pragma once

#include <mutex>
#include <vector>

#include "lib/os/fd.hpp"

namespace pinion::loop {

/// May be used from any thread.
class Orphans {
 public:
  /// The one list of this process.
  static Orphans& list();

  /// Takes over a child. Without memory for it, it stays a zombie until this process ends.
  void add(os::Fd pidfd) noexcept;
  /// Reaps those that have ended among the next few; called with each start and each drop.
  void sweep() noexcept;

 private:
  // Two a call: a list from which less is taken than comes in cannot grow without bound.
  static constexpr std::size_t looks_per_sweep = 2;

  std::mutex mutex_;
  std::vector<os::Fd> children_;
  std::size_t next_ = 0;
};

}  // namespace pinion::loop
