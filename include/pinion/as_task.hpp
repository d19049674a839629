// A result as a task, for what takes tasks.
#pragma once

#include <pinion/async_result.hpp>
#include <pinion/task.hpp>

#include <utility>

namespace pinion {

/// A task that awaits the result: for `when_all`, `when_any`, `with_timeout` and groups.
///
///     const int n = co_await with_timeout(1s, as_task(pool.apply_async(count, path)));
///
/// Where it is cancelled, only the waiting ends: the pool's task goes on, unless it is cancelled
/// too (`AsyncResult::cancel`).
template <class T>
Task<T> as_task(AsyncResult<T> result) {
  co_return co_await std::move(result);
}

}  // namespace pinion
