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
  if (collector_.empty()) {
    // Nobody would ring: then the loop sees whether anything else could end the sleep.
    if (collector_.wake_fd() >= 0 && !loop_.in_flight()) loop_.set_wake_fd(-1);
    return loop_.wait(os::never_ns);
  }
  struct Collecting {
    ~Collecting() {
      collector.unpark();
      collector.leave();
    }
    LoopCollector& collector;
  } const collecting{collector_};
  const auto told = [this] { return told_.load(std::memory_order_acquire); };
  while (!collector_.look(loop_, told)) {
    if (const auto until_ns = collector_.park()) sleep(*until_ns);
    collector_.unpark();
    if (loop_.has_ready()) return;
  }
}

void CallerLoop::sleep(std::int64_t until_ns) {
  {
    const std::lock_guard lock(mutex_);
    if (!arrivals_.empty()) return;
    asleep_ = true;
  }
  struct Awake {
    ~Awake() {
      const std::lock_guard lock(loop.mutex_);
      if (!std::exchange(loop.asleep_, false)) loop.collector_.drain();
    }
    CallerLoop& loop;
  } const awake{*this};
  loop_.wait(until_ns);
}

detail::Watch CallerLoop::expect(PoolAwaiter& awaiter, Turns& turns) {
  const bool first = collector_.wake_fd() < 0;
  collector_.add(turns);
  if (first) loop_.set_wake_fd(collector_.wake_fd());
  awaiter.loop_ = this;
  awaiter.turns_ = &turns;
  return watch_of(awaiter);
}

detail::Watch CallerLoop::watch_of(PoolAwaiter& awaiter) noexcept {
  return {this, reinterpret_cast<std::uintptr_t>(&awaiter)};
}

void CallerLoop::forget(PoolAwaiter& awaiter) noexcept {
  collector_.remove(*awaiter.turns_);
  const std::lock_guard lock(mutex_);
  awaiter.arrival_.unlink();
}

void CallerLoop::ended(std::uint64_t tag) noexcept {
  auto& awaiter = *reinterpret_cast<PoolAwaiter*>(static_cast<std::uintptr_t>(tag));
  const std::lock_guard lock(mutex_);
  arrivals_.push_back(awaiter.arrival_);
  told_.store(true, std::memory_order_release);
  // With the lock: once the awaiter has been woken, the loop may end.
  if (std::exchange(asleep_, false)) collector_.wake();
}

/// Makes those ready that the loop was told of.
void CallerLoop::deliver() noexcept {
  if (!told_.load(std::memory_order_acquire)) return;
  detail::LinkList arrived;
  {
    const std::lock_guard lock(mutex_);
    told_.store(false, std::memory_order_relaxed);
    arrived.take(arrivals_);
  }
  while (!arrived.empty()) {
    PoolAwaiter& awaiter = *static_cast<PoolAwaiter::Arrival&>(arrived.front()).awaiter;
    awaiter.arrival_.unlink();
    awaiter.woken_ = true;
    collector_.remove(*awaiter.turns_);
    awaiter.wake();
  }
}

}  // namespace pinion::pool

namespace pinion::detail {

void run_to_end(Detached coroutine) { pool::CallerLoop().run(std::move(coroutine)); }

}  // namespace pinion::detail
