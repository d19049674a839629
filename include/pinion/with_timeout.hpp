// A task with a limit of time.
#pragma once

#include <pinion/detail/join.hpp>
#include <pinion/detail/scope.hpp>
#include <pinion/errors.hpp>
#include <pinion/task.hpp>
#include <pinion/time_limit.hpp>

#include <array>
#include <string>
#include <utility>

namespace pinion {

namespace detail {

[[noreturn]] PINION_API void fail_timeout(Duration limit);

template <class T>
Task<T> with_timeout_of(Duration limit, Task<T> task) {
  bool expired = false;
  bool cancelled = false;
  {
    ChildScope scope;
    const ScopeDeadline deadline(scope, limit);
    std::array<Join, 1> child{join<T>(TaskAccess::frame(task))};
    co_await JoinAwaiter(child, &scope);
    expired = deadline.expired();
    cancelled = scope.parent_stopped();
  }
  try {
    co_return TaskAccess::frame(task).promise().take();
  } catch (const Cancelled&) {
    // Whoever cancelled all of this goes before.
    if (!expired || cancelled) throw;
  }
  fail_timeout(limit);
}

}  // namespace detail

/// Runs the task, and cancels it when `limit` is over: then it throws `TaskTimeout`, once the task
/// has ended. Zero and negative let the task run until it waits. A task that ends with a value or
/// an error of its own, although its time was over, keeps it. Throws what the task throws;
/// `std::logic_error` for a task that was awaited before, and outside an event loop. O(log n) in
/// the number of timers of the loop, and O(pending operations) for the cancellation.
template <class T>
Task<T> with_timeout(Duration limit, Task<T> task) {
  detail::require_awaitable(task.valid());
  return detail::with_timeout_of<T>(limit, std::move(task));
}

}  // namespace pinion
