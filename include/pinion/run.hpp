// Coroutines on the caller's own thread.
#pragma once

#include <pinion/detail/api.hpp>
#include <pinion/detail/detached.hpp>
#include <pinion/detail/join.hpp>
#include <pinion/task.hpp>

#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

namespace pinion {

namespace detail {

/// Runs the coroutine on a new loop of this thread until it has ended; where the loop breaks, the
/// coroutine is destroyed. Throws `std::logic_error` inside a running loop.
PINION_API void run_to_end(Detached coroutine);

/// What a task has ended with.
template <class T>
using RunOutcome = std::variant<std::monostate, NotVoid<T>, std::exception_ptr>;

template <class T>
Detached run_into(RunOutcome<T>& outcome, Task<T> task) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      outcome.template emplace<1>();
    } else {
      outcome.template emplace<1>(co_await std::move(task));
    }
  } catch (...) {
    outcome.template emplace<2>(std::current_exception());
  }
}

}  // namespace detail

/// Runs a task on an event loop of the calling thread's own, and returns when it has ended, with
/// its result or its exception; as Python's `asyncio.run` does. Everything that coroutines can
/// await works in it, results and streams of any number of pools too. The loop collects these
/// results itself while it waits.
///
/// The loop is made here and ends here: keep what is to live longer outside. Any thread may run
/// one, each its own. Throws `std::logic_error` inside a running loop (await the task there), for a
/// task that was awaited before, and where each coroutine waits for another one;
/// `std::invalid_argument` where PINION_IO names no backend. Kernel objects are made at the first
/// await that needs them.
template <class T>
T run(Task<T> task) {
  detail::require_awaitable(task.valid());
  detail::RunOutcome<T> outcome;
  detail::run_to_end(detail::run_into<T>(outcome, std::move(task)));
  if (outcome.index() == 2) std::rethrow_exception(std::get<2>(outcome));
  if constexpr (!std::is_void_v<T>) return std::get<1>(std::move(outcome));
}

}  // namespace pinion
