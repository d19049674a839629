// A coroutine that waits for another one of its loop.
#pragma once

#include <pinion/detail/operation.hpp>

#include <coroutine>

namespace pinion::detail {

/// The link is its place in the queue of what it waits for; a cancellation takes it out of there.
class Waiter : public Link {
 public:
  /// Throws what `Operation::prepare` throws.
  void prepare() {
    operation_.second = static_cast<Link*>(this);
    operation_.prepare();
  }
  void begin(std::coroutine_handle<> waiter) noexcept { operation_.begin(waiter); }
  /// The same without `prepare`, in this scope, and without regard to cancellations.
  void begin_uncancelled(loop::Loop& loop, Scope& scope, std::coroutine_handle<> waiter) noexcept {
    operation_.coroutine = waiter;
    operation_.loop = &loop;
    operation_.scope = &scope;
    operation_.result = 0;
    operation_.state = Resumable::State::pending;
  }
  /// Takes it out of its queue; its coroutine goes on at a later turn, if its loop is still there.
  void wake() noexcept {
    unlink();
    if (operation_.state == Resumable::State::pending) operation_.complete(0);
  }
  /// Throws `Cancelled` where it was cancelled instead of woken.
  void finish() { operation_.finish("waiting"); }
  /// Woken, but destroyed before its coroutine could go on.
  [[nodiscard]] bool was_woken() const noexcept {
    return operation_.state == Resumable::State::ready && operation_.result == 0;
  }

 private:
  Operation operation_{OperationKind::wait};
};

}  // namespace pinion::detail
