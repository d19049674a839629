// A coroutine of the manager that waits for a pool, in the loop of its own thread.
#pragma once

#include <pinion/detail/entry_handle.hpp>
#include <pinion/detail/waiter.hpp>

#include <coroutine>
#include <utility>

namespace pinion::pool {
class CallerLoop;
class Turns;
}  // namespace pinion::pool

namespace pinion::detail {

/// Whoever brings about what it waits for tells its loop, from any thread; the loop wakes it.
class PoolAwaiter : public Waiter {
 public:
  PoolAwaiter() noexcept { arrival_.awaiter = this; }

 protected:
  ~PoolAwaiter() = default;

  friend class pool::CallerLoop;
  struct Arrival : Link {
    PoolAwaiter* awaiter = nullptr;
  };

  pool::CallerLoop* loop_ = nullptr;  // which may be told
  pool::Turns* turns_ = nullptr;      // of the pool that tells it
  Arrival arrival_;                   // in that loop's list of what it was told
  bool woken_ = false;                // what its loop was told has been taken from there
};

/// Waits until an entry has ended, by value or by error. Cancelled, it throws `Cancelled`, and the
/// entry goes on. Each awaits once.
class EntryAwaiter : public PoolAwaiter {
 public:
  explicit EntryAwaiter(EntryHandle handle) noexcept : handle_(std::move(handle)) {}
  PINION_API ~EntryAwaiter();

  /// Throws `std::logic_error` outside `pinion::run` and for an empty handle, and `Cancelled`.
  PINION_API bool await_ready();
  /// False if it has ended meanwhile. Throws `std::bad_alloc`, `std::system_error`.
  PINION_API bool await_suspend(std::coroutine_handle<> waiter);

 protected:
  EntryHandle handle_;
};

}  // namespace pinion::detail
