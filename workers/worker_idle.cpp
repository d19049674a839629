// What a worker does while there is nothing to do.

#include <sched.h>

#include "lib/os/clock.hpp"
#include "lib/os/cpu.hpp"
#include "lib/start/child_process.hpp"
#include "workers/coroutine_item.hpp"
#include "workers/worker.hpp"

namespace pinion::workers {

void Worker::idle() {
  if (loop_.in_flight() || !queue_.empty() || idle_ == Idle::sleep) return park();
  const std::int64_t begin_ns = spin();
  if (begin_ns == 0) return;
  park();
  spin_.waited(os::now_ns() - begin_ns);
}

/// Looks for work for about as long as a wake-up costs. Returns 0 if there is some, else when it
/// began to look.
std::int64_t Worker::spin() noexcept {
  if (idle_ != Idle::spin && crowded_) {
    // Somebody else needs this core: offer it a few times, then sleep.
    for (int i = 0; i < 4; ++i) {
      ::sched_yield();
      if (channel_.tasks.ready()) return 0;
    }
    return os::now_ns();
  }
  for (unsigned i = 0; i < os::eager_rounds; ++i) {
    if (channel_.tasks.ready()) return 0;
  }
  const std::int64_t begin = os::now_ns();
  for (;;) {
    const bool shared =
        channel_.manager_line->collector_cpu.load(std::memory_order_relaxed) == os::current_cpu();
    for (int i = 0; i < (shared ? 1 : 64); ++i) {
      if (channel_.tasks.ready()) return 0;
      os::pause();
    }
    if (abandoned()) return 0;
    if (shared && idle_ != Idle::spin) ::sched_yield();
    if (idle_ != Idle::spin && os::now_ns() - begin > (shared ? spin_.ns() / 2 : spin_.ns())) {
      return begin;
    }
  }
}

void Worker::park() {
  watching_ = false;  // nobody holds the loop meanwhile
  // A task that changes its user disarms it.
  if (!channel_.is_local()) start::die_with_parent(identity_.manager);
  const bool waits = loop_.in_flight() || coroutines_->timed();
  const bool full = !coroutines_->can_take() && coroutines_->live() != 0;
  const auto place = !waits ? ring::Bell::on_futex : full ? ring::Bell::full : ring::Bell::in_loop;
  const std::uint32_t parked = channel_.own_bell.park(place);
  if (channel_.tasks.ready() || (abandoned() && !winding_up_)) {
    channel_.own_bell.leave(parked);
    return;
  }
  if (waits) {
    loop_.wait(coroutines_->next_deadline());
  } else {
    channel_.own_bell.sleep(parked, os::never_ns);
  }
  channel_.own_bell.leave(parked);
}

}  // namespace pinion::workers
