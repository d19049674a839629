#include "lib/pool/caller_loop.hpp"

#include <pinion/run.hpp>

#include <cstddef>
#include <stdexcept>
#include <utility>

#include "lib/os/clock.hpp"
#include "lib/os/eventfd.hpp"

namespace pinion::pool {

using detail::PoolAwaiter;

namespace {

// Between two looks at the kernel; enough to make a system call cheap beside them.
constexpr std::size_t resumes_per_turn = 64;

constinit thread_local CallerLoop* running = nullptr;

}  // namespace

CallerLoop::CallerLoop() : loop_(IoBackend::automatic) {
  if (loop::Loop::current() != nullptr) {
    throw std::logic_error(
        "pinion::run was called inside a running event loop: co_await the task there");
  }
  running = this;
}

CallerLoop::~CallerLoop() { running = nullptr; }

CallerLoop& CallerLoop::require_current() {
  if (running == nullptr || loop::Loop::current() != &running->loop_) {
    throw std::logic_error(
        "pinion: results can be awaited only in coroutines that pinion::run runs");
  }
  return *running;
}

void CallerLoop::run(detail::Detached coroutine) {
  struct Main {
    ~Main() {
      if (!done) frame.destroy();
    }
    loop::Root root;
    std::coroutine_handle<> frame;
    bool done = false;
  } main;
  main.frame =
      coroutine.release([](void* done) noexcept { *static_cast<bool*>(done) = true; }, &main.done);
  loop_.start(main.root, main.frame);
  while (!main.done) {
    deliver();
    if (loop_.run_ready(resumes_per_turn))
      loop_.poll();
    else
      wait();
  }
}

void CallerLoop::wait() {
  if (awaiters_.empty()) {
    // Nobody would ring: then the loop sees whether anything else could end the sleep.
    if (eventfd_ && !loop_.in_flight()) loop_.set_wake_fd(-1);
    return loop_.wait(os::never_ns);
  }
  {
    const std::lock_guard lock(mutex_);
    if (!arrivals_.empty()) return;
    asleep_ = true;
  }
  loop_.wait(os::never_ns);
  const std::lock_guard lock(mutex_);
  asleep_ = false;
}

detail::Watch CallerLoop::expect(PoolAwaiter& awaiter) {
  if (!eventfd_) {
    eventfd_ = os::make_eventfd();
    loop_.set_wake_fd(eventfd_.get());
  }
  awaiter.loop_ = this;
  return watch_of(awaiter);
}

detail::Watch CallerLoop::watch_of(PoolAwaiter& awaiter) noexcept {
  return {this, reinterpret_cast<std::uintptr_t>(&awaiter), true};
}

void CallerLoop::suspend(PoolAwaiter& awaiter, std::coroutine_handle<> waiter) noexcept {
  awaiters_.push_back(awaiter);
  awaiter.begin(waiter);
}

void CallerLoop::forget(PoolAwaiter& awaiter) noexcept {
  const std::lock_guard lock(mutex_);
  awaiter.arrival_.unlink();
}

void CallerLoop::ended(std::uint64_t tag) noexcept {
  auto& awaiter = *reinterpret_cast<PoolAwaiter*>(static_cast<std::uintptr_t>(tag));
  const std::lock_guard lock(mutex_);
  arrivals_.push_back(awaiter.arrival_);
  // With the lock: once the awaiter has been woken, the loop may end.
  if (std::exchange(asleep_, false)) os::ring_eventfd(eventfd_.get());
}

/// Makes those ready that the loop was told of.
void CallerLoop::deliver() noexcept {
  if (awaiters_.empty()) return;
  detail::LinkList arrived;
  {
    const std::lock_guard lock(mutex_);
    arrived.take(arrivals_);
  }
  while (!arrived.empty()) {
    PoolAwaiter& awaiter = *static_cast<PoolAwaiter::Arrival&>(arrived.front()).awaiter;
    awaiter.arrival_.unlink();
    awaiter.woken_ = true;
    awaiter.wake();
  }
}

}  // namespace pinion::pool

namespace pinion::detail {

void run_to_end(Detached coroutine) { pool::CallerLoop().run(std::move(coroutine)); }

}  // namespace pinion::detail
