// Waiting for time, and letting others go first.
#pragma once

#include <pinion/detail/operation.hpp>
#include <pinion/time_limit.hpp>

#include <coroutine>

namespace pinion {

namespace detail {

class SleepAwaiter {
 public:
  explicit SleepAwaiter(Duration length) noexcept : operation_(OperationKind::sleep) {
    operation_.deadline_ns = length.ns();
    if (length.ns() == 0) operation_.kind = OperationKind::yield;
  }
  bool await_ready() {
    operation_.prepare();
    return false;
  }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { operation_.begin(waiter); }
  void await_resume() {
    operation_.finish("sleeping");
    // A yield waits in the ready queue, where no cancellation finds it: look again.
    if (operation_.kind == OperationKind::yield) operation_.prepare();
  }

 private:
  Operation operation_;
};

}  // namespace detail

/// `co_await sleep_for(10ms)`: suspends this coroutine for at least that long (monotonic time)
/// while others go on. Zero and negative are `yield()`. Throws `Cancelled` when the task is
/// cancelled meanwhile, and `std::logic_error` outside an event loop. Await each result once.
/// O(log n) in the number of sleepers.
[[nodiscard]] inline detail::SleepAwaiter sleep_for(Duration length) noexcept {
  return detail::SleepAwaiter(length);
}

/// `co_await yield()`: goes on after every other coroutine of this loop that can. Throws as
/// `sleep_for` does. O(1).
[[nodiscard]] inline detail::SleepAwaiter yield() noexcept {
  return detail::SleepAwaiter(Duration());
}

}  // namespace pinion
