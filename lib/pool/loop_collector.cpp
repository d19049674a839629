#include "lib/pool/loop_collector.hpp"

#include <sys/epoll.h>

#include <algorithm>

#include "lib/os/clock.hpp"
#include "lib/os/error.hpp"
#include "lib/os/eventfd.hpp"

namespace pinion::pool {

namespace {

void change(int epoll, int operation, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  os::check(::epoll_ctl(epoll, operation, fd, &event), "watching a pool's bell");
}

}  // namespace

void LoopCollector::add(Turns& turns) {
  if (!eventfd_) {
    os::Fd epoll = os::move_high(os::Fd(os::check(::epoll_create1(EPOLL_CLOEXEC), "epoll")));
    os::Fd eventfd = os::make_eventfd();
    change(epoll.get(), EPOLL_CTL_ADD, eventfd.get(), EPOLLIN);
    epoll_ = std::move(epoll);
    eventfd_ = std::move(eventfd);
  }
  const auto found = std::find_if(pools_.begin(), pools_.end(),
                                  [&](const Entry& entry) { return entry.turns == &turns; });
  if (found != pools_.end()) {
    ++found->awaiters;
  } else {
    Entry entry{};
    entry.turns = &turns;
    pools_.push_back(entry);
  }
}

/// Between two waits: no baton is held.
void LoopCollector::remove(Turns& turns) noexcept {
  const auto found = std::find_if(pools_.begin(), pools_.end(),
                                  [&](const Entry& entry) { return entry.turns == &turns; });
  if (found == pools_.end() || --found->awaiters != 0) return;
  if (found->armed) {
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, turns.bell_fd(), nullptr);
  }
  *found = pools_.back();
  pools_.pop_back();
}

void LoopCollector::wake() noexcept { os::ring_eventfd(eventfd_.get()); }
void LoopCollector::drain() noexcept { os::drain_eventfd(eventfd_.get()); }

bool LoopCollector::relax(std::int64_t& idle_since_ns, unsigned& rounds) noexcept {
  const auto owned =
      std::find_if(pools_.begin(), pools_.end(), [](const Entry& entry) { return entry.owned; });
  if (owned != pools_.end()) return owned->turns->relax(idle_since_ns, rounds);
  os::pause();
  return ++rounds < rounds_without_baton;
}

/// A bell that somebody else sleeps on is not ours to hear: who drains it takes it away.
void LoopCollector::arm(Entry& entry, bool on) {
  if (entry.armed == on) return;
  change(epoll_.get(), on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, entry.turns->bell_fd(), EPOLLIN);
  entry.armed = on;
}

std::optional<std::int64_t> LoopCollector::park() {
  std::int64_t deadline = os::never_ns;
  for (Entry& entry : pools_) {
    Turns& turns = *entry.turns;
    if (turns.in_place()) {  // another thread may be running its tasks
      deadline = std::min(deadline, os::add_ns(os::now_ns(), in_place_look_ns));
      continue;
    }
    arm(entry, entry.owned);
    if (entry.owned) {
      entry.parked = turns.park_in_loop();
      if (!entry.parked) return std::nullopt;
      deadline = std::min(deadline, entry.parked->until_ns);
    } else {
      turns.count_unserved(1);
      entry.unserved = true;
      // EDGE baton: who has left it meanwhile has not seen us.
      entry.owned = turns.take_in_loop();
      if (entry.owned) return std::nullopt;
    }
  }
  return deadline;
}

void LoopCollector::unpark() noexcept {
  for (Entry& entry : pools_) {
    Turns& turns = *entry.turns;
    if (entry.parked) turns.unpark(*entry.parked, idle_since_ns_);
    if (entry.unserved) turns.count_unserved(-1);
    entry.parked.reset();
    entry.unserved = false;
  }
}

void LoopCollector::leave() noexcept {
  for (Entry& entry : pools_) {
    if (entry.owned) entry.turns->leave_loop();
    entry.owned = false;
  }
}

}  // namespace pinion::pool
