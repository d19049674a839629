// Runs one task on a loop to its end, on the calling thread.
#pragma once

#include <pinion/detail/detached.hpp>
#include <pinion/task.hpp>

#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

#include "lib/loop/loop.hpp"
#include "lib/os/clock.hpp"

namespace pinion::loop {

/// A task with its root; `step` until `done`, then `take`, or destroy it at any time.
template <class T>
class Run {
 public:
  Run(Loop& loop, Task<T> task) : loop_(loop), frame_(drive(std::move(task), *this).release()) {
    loop_.start(root_, frame_);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  /// Before the end: the task is destroyed where it is, once the kernel let go of its buffers.
  ~Run() {
    if (!done()) frame_.destroy();
  }

  [[nodiscard]] Root& root() noexcept { return root_; }
  [[nodiscard]] bool done() const noexcept { return outcome_.index() != 0; }
  /// One turn of the loop; sleeps until `deadline_ns` at most where there is nothing to resume.
  void step(std::int64_t deadline_ns = os::never_ns) {
    if (loop_.run_ready(resumes_per_turn))
      loop_.poll();
    else
      loop_.wait(deadline_ns);
  }
  T take() {
    if (outcome_.index() == 2) std::rethrow_exception(std::get<2>(outcome_));
    if constexpr (!std::is_void_v<T>) return std::move(std::get<1>(outcome_));
  }

 private:
  // Between two looks at the kernel; enough to make a system call cheap beside them.
  static constexpr std::size_t resumes_per_turn = 64;
  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

  static detail::Detached drive(Task<T> task, Run& run) {
    try {
      if constexpr (std::is_void_v<T>) {
        co_await std::move(task);
        run.outcome_.template emplace<1>();
      } else {
        run.outcome_.template emplace<1>(co_await std::move(task));
      }
    } catch (...) {
      run.outcome_.template emplace<2>(std::current_exception());
    }
  }

  Loop& loop_;
  Root root_;
  std::variant<std::monostate, Value, std::exception_ptr> outcome_;
  std::coroutine_handle<> frame_;
};

/// Gives the task's result or throws its exception.
template <class T>
T run_task(Loop& loop, Task<T> task) {
  Run<T> run(loop, std::move(task));
  while (!run.done()) run.step();
  return run.take();
}

}  // namespace pinion::loop
