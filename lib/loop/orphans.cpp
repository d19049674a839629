#include "lib/loop/orphans.hpp"

#include <new>
#include <utility>

#include "lib/os/pidfd.hpp"

namespace pinion::loop {

Orphans& Orphans::list() {
  static Orphans orphans;
  return orphans;
}

void Orphans::add(os::Fd pidfd) noexcept {
  const std::lock_guard lock(mutex_);
  try {
    children_.push_back(std::move(pidfd));
  } catch (const std::bad_alloc&) {
    return;
  }
}

void Orphans::sweep() noexcept {
  const std::lock_guard lock(mutex_);
  for (std::size_t looks = 0; looks < looks_per_sweep && !children_.empty(); ++looks) {
    if (next_ >= children_.size()) next_ = 0;
    // Also a child of another process, which had this list before a fork: then it is not ours.
    if (os::reap(children_[next_].get())) {
      std::swap(children_[next_], children_.back());
      children_.pop_back();
    } else {
      ++next_;
    }
  }
}

}  // namespace pinion::loop
