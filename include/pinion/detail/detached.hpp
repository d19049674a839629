// The outermost coroutine of a task: nobody awaits it, and it destroys itself.
#pragma once

#include <pinion/detail/frame_pool.hpp>

#include <coroutine>
#include <exception>
#include <utility>

namespace pinion::detail {

/// A coroutine that belongs to itself once it was released.
///
/// At its end the frame, with the parameters and all that it holds, is destroyed first; then the
/// completion function is called. So whoever started it may free, in that function, what the
/// coroutine's arguments referred to. An exception that leaves the body ends the program: the
/// body must catch, and hand on, everything.
class [[nodiscard]] Detached {
 public:
  using Completion = void (*)(void* argument) noexcept;

  struct promise_type : PooledFrame {
    Completion completion = nullptr;
    void* argument = nullptr;

    Detached get_return_object() noexcept {
      return Detached(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Leave {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<promise_type> frame) const noexcept {
          const Completion done = frame.promise().completion;
          void* const value = frame.promise().argument;
          frame.destroy();  // this awaiter included: only locals from here
          if (done != nullptr) done(value);
        }
        void await_resume() const noexcept {}
      };
      return Leave{};
    }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };

  Detached(Detached&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  Detached& operator=(Detached&&) = delete;
  ~Detached() {
    if (frame_) frame_.destroy();
  }

  /// Gives the coroutine to itself; the result is for `Loop::start`. Whoever destroys the handle
  /// instead, before the coroutine has ended, does not get the completion called.
  [[nodiscard]] std::coroutine_handle<> release(Completion completion = nullptr,
                                                void* argument = nullptr) noexcept {
    frame_.promise().completion = completion;
    frame_.promise().argument = argument;
    return std::exchange(frame_, {});
  }

 private:
  explicit Detached(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

}  // namespace pinion::detail
