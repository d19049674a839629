#include "lib/pool/service.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <new>
#include <thread>

#include "lib/os/clock.hpp"
#include "lib/os/eventfd.hpp"
#include "lib/pool/locked.hpp"

namespace pinion::pool {

namespace {

// What an epoll event means: a worker's index, or one of these.
constexpr std::uint64_t eventfd_tag = ~std::uint64_t{0};
constexpr std::uint64_t nursery_tag = eventfd_tag - 1;
constexpr std::uint64_t abandoned_tag = eventfd_tag - 2;

void watch(int epoll, int fd, std::uint64_t tag, std::uint32_t events = EPOLLIN) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  os::check(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "watching a descriptor");
}

/// Workers run on a copy of the service thread's stack, so it is as large as a program's own.
std::size_t stack_bytes() noexcept {
  constexpr std::size_t least = std::size_t{1} << 20;
  constexpr std::size_t most = std::size_t{1} << 28;
  rlimit limit{};
  if (::getrlimit(RLIMIT_STACK, &limit) != 0) return least * 8;
  return std::clamp<std::size_t>(limit.rlim_cur, least, most) / 4096 * 4096;
}

}  // namespace

Service::Service(State& state, Collector& collector, TakeBack& takeback, Fleet& fleet, Turns& turns,
                 TimeLimits& limits)
    : state_(state),
      collector_(collector),
      takeback_(takeback),
      fleet_(fleet),
      turns_(turns),
      limits_(limits),
      backstop_(state),
      epoll_(os::move_high(os::Fd(os::check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")))) {
  watch(epoll_.get(), state_.eventfd.get(), eventfd_tag);
}

void Service::make_thread() {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, stack_bytes());
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = ::pthread_create(
      &thread_, &attributes,
      [](void* self) -> void* {
        static_cast<Service*>(self)->run();
        return nullptr;
      },
      this);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
  if (error != 0) os::throw_errno(error, "starting the service thread");
  running_ = true;
  ::pthread_setname_np(thread_, "pinion-service");
}

void Service::start(const start::WorkerCode& code) {
  code_ = code;
  make_thread();
  std::unique_lock lock(mutex_);
  const auto over = [&] { return ready_ || start_over_; };
  while (state_.serial && !over()) {  // the workers start in this thread
    lock.unlock();
    turns_.run_workers_here();
    lock.lock();
    changed_.wait_for(lock, std::chrono::milliseconds(1), over);
  }
  changed_.wait(lock, over);
  if (ready_) return;
  const std::exception_ptr error = begin_error_;
  lock.unlock();
  finish();
  std::rethrow_exception(error);
}

bool Service::join(std::int64_t deadline_ns) {
  std::unique_lock lock(mutex_);
  const auto ended = [&] { return ended_; };
  if (deadline_ns == os::never_ns) {
    changed_.wait(lock, ended);
    return true;
  }
  const auto until = std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline_ns));
  return changed_.wait_until(lock, until, ended);
}

void Service::finish() noexcept {
  if (!running_) return;
  ::pthread_join(thread_, nullptr);
  running_ = false;
}

void Service::run() noexcept {
  bool serving = begin();
  while (serving) {
    try {
      serve();
      serving = false;
    } catch (const std::bad_alloc&) {  // what was interrupted comes again
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    } catch (const std::exception& e) {
      os::broken_invariant(e.what(), __FILE__, __LINE__);
    }
  }
  fleet_.end_nursery();
  state_.callbacks.stop();
  state_.ended.store(true, std::memory_order_release);
  const std::lock_guard lock(mutex_);
  ended_ = start_over_ = true;
  changed_.notify_all();
}

/// Starts everybody. False where that failed: then nothing runs.
bool Service::begin() noexcept {
  try {
    fleet_.start(code_);
    watch_nursery();
    watch_processes();
    while (state_.start_error.empty() && state_.ready_workers < state_.workers) {
      handle_events(unwatched_ ? os::now_ns() + unwatched_ns : fleet_.next_event_ns());
      fleet_.check_starts(os::now_ns());
      if (unwatched_) watch_processes();
    }
    if (!state_.start_error.empty()) throw StartError(state_.start_error);
    const std::lock_guard lock(mutex_);
    state_.started = ready_ = true;
    changed_.notify_all();
    return true;
  } catch (...) {
    begin_error_ = std::current_exception();
  }
  state_.phase = State::Phase::terminated;
  Fleet::kill_all(state_);
  while (!fleet_.gone()) {
    const bool unwatched = std::any_of(state_.lanes.begin(), state_.lanes.end(),
                                       [](const auto& l) { return l->alive() && !l->pidfd; });
    if (unwatched) break;
    try {
      abandon();
      if (fleet_.gone()) break;
      watch_processes();
      const std::int64_t again_ns = os::now_ns() + (unwatched_ ? unwatched_ns : backstop_ns);
      handle_events(std::min(again_ns, fleet_.next_event_ns()));
    } catch (...) {
      break;
    }
  }
  return false;
}

/// One that cannot be watched is of no use.
void Service::watch_nursery() {
  while (fleet_.nursery_socket() >= 0) {
    try {
      watch(epoll_.get(), fleet_.nursery_socket(), nursery_tag, EPOLLRDHUP);
      return;
    } catch (const std::exception&) {
      fleet_.on_nursery_death();
    }
  }
}

void Service::watch_processes() {
  unwatched_ = false;
  for (const auto& lane : state_.lanes) {
    if (!lane->pidfd || lane->watched) continue;
    try {
      watch(epoll_.get(), lane->pidfd.get(), lane->index);
      lane->watched = true;
    } catch (const std::exception&) {  // the kernel's memory is short: looked at, and soon again
      unwatched_ = true;
      fleet_.on_death(*lane);
    }
  }
}

void Service::abandon() {
  for (const int pidfd : fleet_.abandon(os::now_ns())) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = abandoned_tag;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, pidfd, &event);
  }
}

/// False if there was none.
bool Service::handle_events(std::int64_t until_ns) {
  std::array<epoll_event, 16> events;
  timespec timeout{};
  if (until_ns != os::never_ns) {
    timeout = os::to_timespec(std::max<std::int64_t>(0, until_ns - os::now_ns()));
  }
  int count = -1;
  if (fine_timeouts_) {
    count = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()),
                           until_ns == os::never_ns ? nullptr : &timeout, nullptr);
    if (count < 0 && errno != EINTR) fine_timeouts_ = false;
  }
  if (!fine_timeouts_) {  // before Linux 5.11, in some containers, under valgrind: milliseconds
    const int ms = until_ns == os::never_ns
                       ? -1
                       : static_cast<int>(timeout.tv_sec * 1000 + timeout.tv_nsec / 1'000'000 + 1);
    count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), ms);
    if (count < 0 && errno != EINTR) os::throw_errno("epoll_wait");
  }
  for (int i = 0; i < count; ++i) {
    const std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
    if (tag == eventfd_tag) {
      if (os::drain_eventfd(state_.eventfd.get()) % State::look_after == 0) continue;
      // Who has the baton may have looked already, and be about to leave it.
      const Turns::Held held = turns_.take_urgently();
      collector_.collect();
      turns_.take_back_due();
    } else if (tag == nursery_tag) {
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fleet_.nursery_socket(), nullptr);
      fleet_.on_nursery_death();
      watch_nursery();
    } else if (tag == abandoned_tag) {
      for (const os::Fd& pidfd : fleet_.reap_abandoned()) {
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, pidfd.get(), nullptr);
      }
    } else {
      Lane& lane = *state_.lanes[tag];
      lane.watched = false;
      if (lane.pidfd) {
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, lane.pidfd.get(), nullptr);
        fleet_.on_death(lane);
        if (state_.take_back_due.load(std::memory_order_relaxed)) {
          const Turns::Held held = turns_.take_urgently();
          turns_.take_back_due();
        }
      }
    }
  }
  return count > 0;
}

void Service::serve() {
  for (;;) {
    turn();
    if (fleet_.gone() && (state_.stopped() || state_.leaving)) {
      bool done = false;
      {
        const Locked lock(state_);
        done = state_.maps.empty() && state_.pending.load() == 0;
      }
      if (done) return;
    }
    const std::int64_t until_ns = next_timer_ns();
    if (!handle_events(until_ns) && os::now_ns() >= backstop_.due_ns()) look_for_results();
  }
}

/// The backstop ends a sleep that nobody was told to end.
void Service::look_for_results() {
  if (!left_alone() || handle_events(os::now_ns() + suspicion_ns) || !left_alone()) return;
  if (!state_.baton.try_take(Baton::Holder::service)) return;
  const bool any = state_.any_results();
  state_.baton.leave();
  if (any) state_.note_late_wakeup();
}

/// Somebody must collect, nobody does, and we were not told.
bool Service::left_alone() const noexcept {
  return needed() && state_.baton.holder() == Baton::Holder::nobody &&
         !state_.service_told.load(std::memory_order_seq_cst) &&
         !state_.service_ticks.load(std::memory_order_seq_cst);
}

/// What is to be done besides events.
void Service::turn() {
  if (state_.must_stop) stop_everything();
  fleet_.let_go();
  const std::int64_t now = os::now_ns();
  check_limits(now);
  fleet_.check_starts(now);
  abandon();
  fleet_.respawn(now);
  watch_processes();
  backstop_.look(now);
  // Somebody must collect, nobody does, and nobody has for a tick.
  if (needed() && state_.baton.holder() == Baton::Holder::nobody) {
    const std::uint64_t collected = state_.collected.load(std::memory_order_relaxed);
    if (std::exchange(seen_collected_, collected) == collected) collect();
  }
}

/// Collects until a caller asks for the baton, nobody needs it any more, or something else is to be
/// done. Sleeps in between, where workers can wake it.
void Service::collect() {
  if (!state_.baton.try_take(Baton::Holder::service)) return;
  const Turns::Held held(turns_);
  while (needed() && !state_.baton.wanted()) {
    state_.note_collecting();
    if (collector_.collect()) {
      turns_.take_back_due();
      continue;
    }
    bool soon = false;
    {
      const Locked lock(state_);
      soon = takeback_.balance();
    }
    const std::int64_t now = os::now_ns();
    const std::int64_t limit_ns = std::min(now + backstop_ns, backstop_.next_ns(now));
    std::int64_t until_ns = std::min(limit_ns, fleet_.next_event_ns());
    if (soon) until_ns = std::min(until_ns, now + balance_ns);
    const std::uint32_t parked = state_.bell.park(ring::Bell::in_loop);
    bool event = true;
    bool suspected = false;
    if (!state_.any_results() && !state_.baton.wanted()) {
      event = sleep_until_event(until_ns);
      if (!state_.bell.rung(parked) && os::now_ns() >= limit_ns && state_.any_results()) {
        suspected = true;
        static_cast<void>(sleep_until_event(os::now_ns() + suspicion_ns));
      }
    }
    if (state_.bell.leave(parked) && suspected) state_.note_late_wakeup();
    if (event && !state_.any_results()) break;  // handled without the baton
  }
}

/// True if an event waits, or a timer is due. Takes no event.
bool Service::sleep_until_event(std::int64_t until_ns) noexcept {
  {
    const Locked lock(state_);
    until_ns = std::min(until_ns, state_.timed_check_ns);
  }
  std::array<pollfd, 2> fds{pollfd{epoll_.get(), POLLIN, 0},
                            pollfd{state_.bell_eventfd.get(), POLLIN, 0}};
  const timespec timeout = os::to_timespec(std::max<std::int64_t>(0, until_ns - os::now_ns()));
  if (::ppoll(fds.data(), fds.size(), &timeout, nullptr) < 0) return true;
  if (fds[1].revents != 0) os::drain_eventfd(state_.bell_eventfd.get());
  return fds[0].revents != 0 || os::now_ns() >= until_ns;
}

std::int64_t Service::next_timer_ns() {
  const std::int64_t now = os::now_ns();
  std::int64_t next = std::min(fleet_.next_event_ns(), backstop_.next_ns(now));
  if (unwatched_) next = std::min(next, now + unwatched_ns);
  {
    const Locked lock(state_);
    next = std::min(next, state_.timed_check_ns);
    if (state_.must_stop) return 0;
  }
  // EDGE told: we clear `service_told` and `service_ticks`, then look who collects and what is
  // expected; who leaves the baton frees it, then looks at them, and wakes us if they are clear.
  state_.service_ticks.store(false, std::memory_order_seq_cst);
  state_.service_told.store(false, std::memory_order_seq_cst);
  if (state_.needs_collector() && state_.baton.holder() == Baton::Holder::nobody) {
    state_.service_told.store(true, std::memory_order_seq_cst);
    next = std::min(next, now + tick_ns);
  } else if (state_.callbacks.expected() != 0) {
    // The callback thread collects, unless a callback takes long.
    state_.service_ticks.store(true, std::memory_order_seq_cst);
    next = std::min(next, now + callback_tick_ns);
  }
  return next;
}

void Service::check_limits(std::int64_t now_ns) {
  {
    const Locked lock(state_);
    if (now_ns < state_.timed_check_ns) return;
  }
  const Turns::Held held = turns_.take_urgently();
  const Locked lock(state_);
  state_.timed_check_ns = limits_.check(os::now_ns());
}

/// The pool was terminated or has failed: complete results count, nothing else goes on.
void Service::stop_everything() {
  const Turns::Held held = turns_.take_urgently();
  const Locked lock(state_);
  state_.must_stop = false;
  for (const auto& lane : state_.lanes) {
    if (lane->alive()) collector_.drain(*lane);
  }
  takeback_.stop_everything();
  Fleet::kill_all(state_);
}

}  // namespace pinion::pool
