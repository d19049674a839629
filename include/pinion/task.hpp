// Task<T>: a coroutine that begins when it is awaited.
#pragma once

#include <pinion/detail/frame_pool.hpp>

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace pinion {

template <class T = void>
class Task;

namespace detail {

struct TaskAccess;

/// What all promises of tasks share: how the task begins, and who goes on after its end.
///
/// A task is begun inside the await_ready() of whoever awaits it, without suspending that one, and
/// control passes on by symmetric transfer only where the task really waits, or where the nesting
/// is deep. Both are needed: gcc makes tail calls of transfers at -O2 only, so that a long loop
/// over tasks that end at once would use up the stack of a debug build; and a long chain of tasks
/// must not nest.
class TaskPromiseBase : public PooledFrame {
 public:
  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> task) const noexcept {
      return task.promise().successor();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() noexcept { return {}; }
  Final final_suspend() noexcept { return {}; }

  /// From await_ready(). True if the task has ended.
  bool begin(std::coroutine_handle<> task) {
    const unsigned outer = nesting_;
    if (outer >= nesting_max) return false;
    waiter_.store(this_thread(), std::memory_order_relaxed);
    nesting_ = outer + 1;
    task.resume();
    nesting_ = outer;
    return ended_;
  }
  /// From await_suspend(): what runs next.
  std::coroutine_handle<> suspend(std::coroutine_handle<> task,
                                  std::coroutine_handle<> waiter) noexcept {
    const bool begun = waiter_.load(std::memory_order_relaxed) != nobody;
    // EDGE task-waiter: the task may end on another thread, which goes on with the waiter.
    waiter_.store(reinterpret_cast<std::uintptr_t>(waiter.address()), std::memory_order_release);
    return begun ? std::noop_coroutine() : task;
  }

 private:
  static constexpr unsigned nesting_max = 100;  // times some 500 bytes of stack in a debug build
  static constexpr std::uintptr_t nobody = 0;
  static constexpr std::uintptr_t beginning = 1;  // the bit that no coroutine's address has

  static std::uintptr_t this_thread() noexcept {
    return reinterpret_cast<std::uintptr_t>(&nesting_) | beginning;
  }

  std::coroutine_handle<> successor() noexcept {
    std::uintptr_t waiter = waiter_.load(std::memory_order_acquire);
    if (waiter == this_thread()) {  // begin() is below us on this stack
      ended_ = true;
      return std::noop_coroutine();
    }
    // An awaitable has moved the task to this thread, while the waiter, on its own, is between
    // begin() and suspend(). EDGE task-waiter.
    while ((waiter & beginning) != 0) waiter = waiter_.load(std::memory_order_acquire);
    return std::coroutine_handle<>::from_address(reinterpret_cast<void*>(waiter));
  }

  static inline constinit thread_local unsigned nesting_ = 0;
  static_assert(alignof(unsigned) > beginning);

  std::atomic<std::uintptr_t> waiter_ = nobody;  // a coroutine, or a thread that is in begin()
  bool ended_ = false;                           // inside begin(); written by its thread only
};

template <class T>
class TaskPromise final : public TaskPromiseBase {
 public:
  TaskPromise() noexcept {}
  TaskPromise(const TaskPromise&) = delete;
  TaskPromise& operator=(const TaskPromise&) = delete;
  ~TaskPromise() {
    if (outcome_ == Outcome::value)
      value_.~T();
    else if (outcome_ == Outcome::error)
      error_.~exception_ptr();
  }

  Task<T> get_return_object() noexcept;
  void unhandled_exception() noexcept {
    ::new (static_cast<void*>(&error_)) std::exception_ptr(std::current_exception());
    outcome_ = Outcome::error;
  }
  template <class U = T>
  requires std::is_constructible_v<T, U&&>
  void return_value(U&& value) {
    ::new (static_cast<void*>(&value_)) T(std::forward<U>(value));
    outcome_ = Outcome::value;
  }
  /// Called by: whoever awaited the task, once, after its end.
  T take() {
    if (outcome_ == Outcome::error) [[unlikely]]
      std::rethrow_exception(error_);
    return std::move(value_);
  }

 private:
  enum class Outcome : unsigned char { none, value, error };

  Outcome outcome_ = Outcome::none;
  union {
    T value_;
    std::exception_ptr error_;
  };
};

template <>
class TaskPromise<void> final : public TaskPromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void unhandled_exception() noexcept { error_ = std::current_exception(); }
  void return_void() noexcept {}
  void take() {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
};

}  // namespace detail

/// A lazy coroutine with a result: `Task<int> f() { co_return 1; }`, and `co_await f()` gives 1.
///
/// Nothing runs until the task is awaited, which can be done once (a second time is
/// `std::logic_error`). The one who awaits gets the result, or the exception that left the
/// coroutine. Long loops of awaits cost no stack, and with -O2 (clang: always) neither do long
/// chains. Creating, running and destroying a task costs nanoseconds, since frames come from a free
/// list of the thread. A task
/// that is dropped without having been awaited never begins. A task that is destroyed in the
/// middle of an I/O operation waits until the kernel has let go of the buffer.
///
/// Parameters of a coroutine are kept in its frame: take them by value, since what a reference
/// refers to may be gone when the task begins.
///
/// gcc 12 compiles wrongly what looks right: a coroutine without a variable of its own that has a
/// `co_await` in the condition of an `if` or `while` does nothing at all, and `b ? co_await f() :
/// x` destroys its result twice. Put the result of a `co_await` into a variable first.
template <class T>
class [[nodiscard]] Task {
  static_assert(!std::is_reference_v<T>,
                "a Task cannot return a reference: what it refers to may be gone; return a value");

 public:
  using promise_type = detail::TaskPromise<T>;
  using value_type = T;

  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (frame_) frame_.destroy();
      frame_ = std::exchange(other.frame_, {});
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (frame_) frame_.destroy();
  }

  /// Whether it can still be awaited.
  [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(frame_); }

  /// Runs the task and gives its result. The frame is destroyed before the awaiting statement ends.
  auto operator co_await() && {
    if (!frame_) throw std::logic_error("pinion::Task: this task was awaited or moved from before");
    return Awaiter(std::exchange(frame_, {}));
  }

 private:
  friend promise_type;
  friend detail::TaskAccess;
  using Frame = std::coroutine_handle<promise_type>;

  class Awaiter {
   public:
    explicit Awaiter(Frame frame) noexcept : frame_(frame) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    ~Awaiter() { frame_.destroy(); }

    bool await_ready() const { return frame_.promise().begin(frame_); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) const noexcept {
      return frame_.promise().suspend(frame_, waiter);
    }
    T await_resume() const { return frame_.promise().take(); }

   private:
    Frame frame_;
  };

  explicit Task(Frame frame) noexcept : frame_(frame) {}

  Frame frame_;
};

namespace detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

/// For those who run tasks without awaiting them: combinators.
struct TaskAccess {
  template <class T>
  static std::coroutine_handle<TaskPromise<T>> frame(Task<T>& task) noexcept {
    return task.frame_;
  }
};

}  // namespace detail
}  // namespace pinion
