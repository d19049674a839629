// What is cancelled together: a task with all coroutines under it, or a part of these.
//
// Scopes are a tree, as the coroutines are. Each operation belongs to the scope in which its
// coroutine runs, and the loop knows which one that is: it sets it before it resumes. Whoever
// starts coroutines in a scope of their own enters it before and leaves it after, so that whatever
// resumes another coroutine finds its own scope again.
#pragma once

#include <pinion/detail/api.hpp>
#include <pinion/detail/operation.hpp>
#include <pinion/time_limit.hpp>

namespace pinion::detail {

/// In its parent's list of children.
struct Scope : Link {
  bool stop = false;        ///< every await in it throws Cancelled; set by Loop::cancel
  Scope* parent = nullptr;  ///< of a root: null
  LinkList operations;      ///< pending ones. Only the loop touches it
  LinkList children;
};

/// A part of a task, cancelled by itself or with its parent. Coroutines in it end before it.
class ChildScope : public Scope {
 public:
  /// Under the scope of the coroutine that runs. Throws `std::logic_error` outside an event loop,
  /// and `Cancelled` where the parent was cancelled.
  PINION_API ChildScope();
  ChildScope(const ChildScope&) = delete;
  ChildScope& operator=(const ChildScope&) = delete;
  /// Scopes that are still under it pass to its parent.
  PINION_API ~ChildScope();

  /// From here on the running coroutine belongs to this scope; to its parent.
  PINION_API void enter() noexcept;
  PINION_API void leave() noexcept;
  /// O(pending operations).
  PINION_API void cancel() noexcept;

  [[nodiscard]] loop::Loop& loop() const noexcept { return loop_; }
  /// Not just this one was cancelled.
  [[nodiscard]] bool parent_stopped() const noexcept { return parent->stop; }

 private:
  loop::Loop& loop_;
};

/// Cancels a scope when its time is over, unless it is destroyed before. O(log n) in the number of
/// timers of the loop.
class ScopeDeadline {
 public:
  /// Throws `std::bad_alloc`.
  PINION_API ScopeDeadline(ChildScope& scope, Duration length);

  [[nodiscard]] bool expired() const noexcept { return operation_.result != 0; }

 private:
  Operation operation_{OperationKind::deadline};
};

}  // namespace pinion::detail
