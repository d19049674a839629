// The event loop of a thread of the manager, and how pools reach its coroutines.
//
// Who brings about what a coroutine waits for tells its watcher, with the pool's lock held and from
// any thread. The loop notes it in a list, and is woken if it sleeps. Mostly that is the loop's own
// thread, which collects while it has nothing else to do (loop_collector.hpp).
#pragma once

#include <pinion/detail/detached.hpp>
#include <pinion/detail/pool_awaiter.hpp>
#include <pinion/detail/pool_core.hpp>

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <mutex>

#include "lib/loop/loop.hpp"
#include "lib/pool/loop_collector.hpp"

namespace pinion::pool {

class CallerLoop final : public detail::Watcher {
 public:
  /// Throws `std::logic_error` inside a running loop.
  CallerLoop();
  CallerLoop(const CallerLoop&) = delete;
  CallerLoop& operator=(const CallerLoop&) = delete;
  ~CallerLoop();

  /// The one whose coroutine runs on this thread. Throws `std::logic_error` where there is none.
  static CallerLoop& require_current();

  /// Until the coroutine has ended. Where the loop breaks, the coroutine is destroyed.
  void run(detail::Detached coroutine);

  // The awaiters' side, on the loop's own thread. First `expect`, whose watch is given to the pool;
  // at the end `forget`, once the pool has forgotten the watch, unless `woken_`.
  detail::Watch expect(detail::PoolAwaiter& awaiter, Turns& turns);
  detail::Watch watch_of(detail::PoolAwaiter& awaiter) noexcept;
  void forget(detail::PoolAwaiter& awaiter) noexcept;

  void ended(std::uint64_t tag) noexcept override;

 private:
  void deliver() noexcept;
  void wait();
  void sleep(std::int64_t until_ns);

  loop::Loop loop_;
  LoopCollector collector_;
  std::atomic<bool> told_{false};
  std::mutex mutex_;           // of what follows
  detail::LinkList arrivals_;  // PoolAwaiter::arrival_
  bool asleep_ = false;        // or about to be
};

}  // namespace pinion::pool
