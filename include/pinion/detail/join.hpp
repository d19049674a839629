// Running several tasks under one coroutine until they have all ended.
#pragma once

#include <pinion/detail/frame_pool.hpp>
#include <pinion/detail/scope.hpp>
#include <pinion/task.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

namespace pinion::detail {

/// Counts the children that still run, and the parent while it starts them.
struct JoinCounter {
  static constexpr std::size_t none = ~std::size_t{0};

  /// A child has ended, in its scope. Returns what runs next.
  std::coroutine_handle<> ended(std::size_t child) noexcept {
    if (first == none) {
      first = child;
      if (race) scope->cancel();
    }
    if (--left != 0) return std::noop_coroutine();
    if (scope != nullptr) scope->leave();
    return parent;
  }

  std::size_t left = 0;
  std::coroutine_handle<> parent;
  ChildScope* scope = nullptr;  ///< the children's own, where they have one
  bool race = false;            ///< the first one that ends cancels the scope
  std::size_t first = none;     ///< which one has ended first
};

/// Runs one child and counts it off; it has no result, which stays in the child's own frame.
class [[nodiscard]] Join {
 public:
  struct promise_type : PooledFrame {
    JoinCounter* counter = nullptr;
    std::size_t index = 0;

    Join get_return_object() noexcept {
      return Join(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct CountOff {
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(
            std::coroutine_handle<promise_type> frame) const noexcept {
          return frame.promise().counter->ended(frame.promise().index);
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

  void start(JoinCounter& counter, std::size_t index) {
    frame_.promise().counter = &counter;
    frame_.promise().index = index;
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

/// Starts every child, in order, and is done when all that were started are. Those of a race are
/// not started once one has ended.
class JoinAwaiter {
 public:
  explicit JoinAwaiter(std::span<Join> children, ChildScope* scope = nullptr,
                       bool race = false) noexcept
      : children_(children) {
    counter_.scope = scope;
    counter_.race = race;
  }
  JoinAwaiter(const JoinAwaiter&) = delete;
  JoinAwaiter& operator=(const JoinAwaiter&) = delete;

  bool await_ready() const noexcept { return children_.empty(); }
  bool await_suspend(std::coroutine_handle<> parent) {
    counter_.left = 1;
    counter_.parent = parent;
    for (std::size_t i = 0; i < children_.size(); ++i) {
      if (counter_.race && counter_.first != JoinCounter::none) break;
      ++counter_.left;
      if (counter_.scope != nullptr) counter_.scope->enter();
      children_[i].start(counter_, i);
    }
    // Also where a child waits in a scope further down.
    if (counter_.scope != nullptr) counter_.scope->leave();
    return --counter_.left != 0;
  }
  /// Which child has ended first.
  std::size_t await_resume() const noexcept { return counter_.first; }

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

/// Throws `std::logic_error` where a task cannot be awaited.
inline void require_awaitable(bool valid) {
  if (!valid) throw std::logic_error("pinion: a task was awaited or moved from before");
}

}  // namespace pinion::detail
