#include <pinion/detail/frame_pool.hpp>
#include <pinion/errors.hpp>
#include <pinion/task_group.hpp>

#include <exception>
#include <stdexcept>
#include <utility>

#include "lib/loop/loop.hpp"

namespace pinion {

/// The coroutine around one task. It belongs to its group, and destroys itself at its end.
struct TaskGroup::Child {
  struct promise_type : detail::PooledFrame, detail::Link {
    detail::Resumable begin;
    TaskGroup& group;

    promise_type(Task<>&, TaskGroup& g) noexcept : group(g) {}
    Child get_return_object() noexcept {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Leave {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<promise_type> child) const noexcept {
          TaskGroup& of = child.promise().group;
          child.destroy();  // this awaiter included: only locals from here
          of.ended();
        }
        void await_resume() const noexcept {}
      };
      return Leave{};
    }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };

  std::coroutine_handle<promise_type> frame;
};

TaskGroup::Child TaskGroup::run(Task<> task, TaskGroup& group) {
  try {
    if (group.scope_.stop) throw Cancelled();
    co_await std::move(task);
  } catch (const Cancelled&) {
    group.failed(std::current_exception(), true);
  } catch (...) {
    group.failed(std::current_exception(), false);
  }
}

TaskGroup::~TaskGroup() {
  while (!children_.empty()) {
    auto& child = static_cast<Child::promise_type&>(children_.front());
    std::coroutine_handle<Child::promise_type>::from_promise(child).destroy();
  }
}

void TaskGroup::start(Task<> task) {
  if (!task.valid())
    throw std::logic_error("pinion::TaskGroup: the task was awaited or moved from before");
  if (scope_.stop) return failed(std::make_exception_ptr(Cancelled()), true);
  const auto frame = run(std::move(task), *this).frame;
  Child::promise_type& child = frame.promise();
  child.begin.coroutine = frame;
  child.begin.scope = &scope_;
  children_.push_back(child);
  ++running_;
  scope_.loop().resume_later(child.begin);
}

void TaskGroup::wait_with(WaitAwaiter& awaiter, std::coroutine_handle<> waiter) {
  if (waiter_ != nullptr)
    throw std::logic_error("pinion::TaskGroup: another coroutine waits for this group");
  loop::Loop& loop = scope_.loop();
  if (loop.current_scope() == scope_.parent) {
    awaiter.begin_uncancelled(loop, *scope_.parent, waiter);
  } else {
    awaiter.prepare();
    awaiter.begin(waiter);
  }
  waiter_ = &awaiter;
}

/// An error of a task. Cancelled is none where the group itself was the one to cancel.
void TaskGroup::failed(std::exception_ptr error, bool cancelled) noexcept {
  if (error_ || (cancelled && scope_.stop && !scope_.parent_stopped())) return;
  error_ = std::move(error);
  scope_.cancel();
}

void TaskGroup::ended() noexcept {
  --running_;
  if (running_ == 0 && waiter_ != nullptr) std::exchange(waiter_, nullptr)->wake();
}

}  // namespace pinion
