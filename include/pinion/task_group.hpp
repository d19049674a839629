// Tasks that are started one by one and end together.
#pragma once

#include <pinion/detail/api.hpp>
#include <pinion/detail/scope.hpp>
#include <pinion/detail/waiter.hpp>
#include <pinion/task.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>

namespace pinion {

/// Starts tasks on this event loop and waits for all of them; the first error cancels the rest:
///
///     TaskGroup group;
///     for (int fd : sockets) group.start(serve(fd));
///     co_await group.wait();
///
/// Make it in a coroutine, whose cancellation cancels the group, and `wait` before it goes: a group
/// that is destroyed earlier destroys the tasks that still run, each once the kernel has let go of
/// its buffers. Tasks may start others in their group. Each is destroyed when it ends.
class TaskGroup {
 public:
  /// Throws `std::logic_error` outside an event loop, and `Cancelled` in a cancelled task.
  TaskGroup() = default;
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  PINION_API ~TaskGroup();

  /// Takes a task, which begins at a later turn of the loop. After an error or a cancellation it is
  /// dropped and never begins. Throws `std::logic_error` for a task that was awaited before, and
  /// `std::bad_alloc`. O(1).
  PINION_API void start(Task<> task);
  /// Cancels the tasks of the group, now and for good; those that have not begun never do. What
  /// they end with is no error of the group if it is `Cancelled`. O(pending operations).
  void cancel() noexcept { scope_.cancel(); }
  /// How many tasks have not ended. O(1).
  [[nodiscard]] std::size_t running() const noexcept { return running_; }

  class WaitAwaiter : public detail::Waiter {
   public:
    explicit WaitAwaiter(TaskGroup& group) noexcept : group_(group) {}
    ~WaitAwaiter() {
      if (group_.waiter_ == this) group_.waiter_ = nullptr;
    }
    bool await_ready() const noexcept { return group_.running_ == 0; }
    void await_suspend(std::coroutine_handle<> waiter) { group_.wait_with(*this, waiter); }
    void await_resume() {
      finish();
      if (group_.error_) std::rethrow_exception(group_.error_);
    }

   private:
    TaskGroup& group_;
  };

  /// Waits until all tasks have ended, those too that its tasks have started; then throws the first
  /// error, by time, or `Cancelled` where the group's own task was cancelled before all had ended.
  /// May be awaited again, after more were started, by one coroutine at a time
  /// (`std::logic_error`). When the group's own task is cancelled, so are the tasks of the group,
  /// and the wait goes on until they have ended. But if something smaller is cancelled, such as a
  /// `with_timeout` around the wait, the wait throws `Cancelled`, and the group goes on. O(1).
  [[nodiscard]] WaitAwaiter wait() noexcept { return WaitAwaiter(*this); }

 private:
  struct Child;
  static Child run(Task<> task, TaskGroup& group);
  PINION_API void wait_with(WaitAwaiter& awaiter, std::coroutine_handle<> waiter);
  void failed(std::exception_ptr error, bool cancelled) noexcept;
  void ended() noexcept;

  detail::ChildScope scope_;
  detail::LinkList children_;  // promises of Child
  std::size_t running_ = 0;
  WaitAwaiter* waiter_ = nullptr;
  std::exception_ptr error_;
};

}  // namespace pinion
