// Several tasks at once.
#pragma once

#include <pinion/detail/frame_pool.hpp>
#include <pinion/task.hpp>

#include <array>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <span>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace pinion {

namespace detail {

/// Counts the children that still run, and the parent while it starts them.
struct JoinCounter {
  std::size_t left = 0;
  std::coroutine_handle<> parent;
};

/// Runs one child and counts it off; it has no result, which stays in the child's own frame.
class [[nodiscard]] Join {
 public:
  struct promise_type : PooledFrame {
    JoinCounter* counter = nullptr;

    Join get_return_object() noexcept {
      return Join(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct CountOff {
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(
            std::coroutine_handle<promise_type> frame) const noexcept {
          JoinCounter& join = *frame.promise().counter;
          return --join.left == 0 ? join.parent : std::noop_coroutine();
        }
        void await_resume() const noexcept {}
      };
      return CountOff{};
    }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }  // awaits nothing that throws
  };

  Join(Join&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  Join& operator=(Join&&) = delete;
  ~Join() {
    if (frame_) frame_.destroy();
  }

  void start(JoinCounter& counter) {
    frame_.promise().counter = &counter;
    frame_.resume();
  }

 private:
  explicit Join(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

/// Awaits the end of a task and leaves its outcome where it is.
template <class T>
class EndAwaiter {
 public:
  explicit EndAwaiter(std::coroutine_handle<TaskPromise<T>> task) noexcept : task_(task) {}
  bool await_ready() const { return task_.promise().begin(task_); }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) const noexcept {
    return task_.promise().suspend(task_, waiter);
  }
  void await_resume() const noexcept {}

 private:
  std::coroutine_handle<TaskPromise<T>> task_;
};

template <class T>
Join join(std::coroutine_handle<TaskPromise<T>> task) {
  co_await EndAwaiter<T>(task);
}

/// Starts every child, in order, and is done when all are.
class JoinAwaiter {
 public:
  explicit JoinAwaiter(std::span<Join> children) noexcept : children_(children) {}
  bool await_ready() const noexcept { return children_.empty(); }
  bool await_suspend(std::coroutine_handle<> parent) {
    counter_.left = children_.size() + 1;
    counter_.parent = parent;
    for (Join& child : children_) child.start(counter_);
    return --counter_.left != 0;
  }
  void await_resume() const noexcept {}

 private:
  std::span<Join> children_;
  JoinCounter counter_;
};

template <class T>
using NotVoid = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
NotVoid<T> take_outcome(Task<T>& task) {
  if constexpr (std::is_void_v<T>) {
    TaskAccess::frame(task).promise().take();
    return {};
  } else {
    return TaskAccess::frame(task).promise().take();
  }
}

inline void require_awaitable(bool valid) {
  if (!valid) throw std::logic_error("pinion::when_all: a task was awaited or moved from before");
}

template <class... Ts>
Task<std::tuple<NotVoid<Ts>...>> when_all_of(std::tuple<Task<Ts>...> tasks) {
  {
    auto make = [](Task<Ts>&... each) {
      return std::array<Join, sizeof...(Ts)>{join<Ts>(TaskAccess::frame(each))...};
    };
    std::array<Join, sizeof...(Ts)> children = std::apply(make, tasks);
    co_await JoinAwaiter(children);
  }
  // Braces: the elements are taken from left to right, so the first error by position is thrown.
  auto take = [](Task<Ts>&... each) {
    return std::tuple<NotVoid<Ts>...>{take_outcome<Ts>(each)...};
  };
  co_return std::apply(take, tasks);
}

}  // namespace detail

/// Runs the tasks at once on this event loop and gives their results, in their order; that of a
/// `Task<void>` is `std::monostate`. Waits for all of them, also when some fail; then the error of
/// the first of these, by position, is thrown. O(1) per task.
template <class... Ts>
Task<std::tuple<detail::NotVoid<Ts>...>> when_all(Task<Ts>... tasks) {
  (detail::require_awaitable(tasks.valid()), ...);
  return detail::when_all_of<Ts...>(std::tuple<Task<Ts>...>(std::move(tasks)...));
}

/// The same for any number of tasks of one type.
template <class T>
Task<std::vector<detail::NotVoid<T>>> when_all(std::vector<Task<T>> tasks) {
  {
    std::vector<detail::Join> children;
    children.reserve(tasks.size());
    for (Task<T>& task : tasks) {
      detail::require_awaitable(task.valid());
      children.push_back(detail::join<T>(detail::TaskAccess::frame(task)));
    }
    co_await detail::JoinAwaiter(children);
  }
  std::vector<detail::NotVoid<T>> results;
  results.reserve(tasks.size());
  for (Task<T>& task : tasks) results.push_back(detail::take_outcome<T>(task));
  co_return results;
}

}  // namespace pinion
