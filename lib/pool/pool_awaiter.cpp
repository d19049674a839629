#include <pinion/detail/pool_awaiter.hpp>
#include <pinion/detail/stream_core.hpp>

#include "lib/pool/caller_loop.hpp"
#include "lib/pool/core.hpp"

namespace pinion::detail {

using pool::CallerLoop;
using pool::Core;
using pool::Ledger;

namespace {

Core& core_of(const EntryHandle& handle) { return Ledger::of(handle.entry()).core(); }

}  // namespace

EntryAwaiter::~EntryAwaiter() {
  if (loop_ == nullptr || woken_) return;
  core_of(handle_).unwatch(handle_.entry(), loop_->watch_of(*this));
  loop_->forget(*this);
}

bool EntryAwaiter::await_ready() {
  const LedgerEntry& entry = handle_.entry();
  CallerLoop::require_current();
  prepare();
  return entry.done();
}

bool EntryAwaiter::await_suspend(std::coroutine_handle<> waiter) {
  CallerLoop& loop = CallerLoop::require_current();
  if (!core_of(handle_).watch(handle_.entry(), loop.expect(*this))) return false;
  loop.suspend(*this, waiter);
  return true;
}

StreamAwaiter::~StreamAwaiter() {
  if (loop_ == nullptr || woken_) return;
  stream_.unwatch(loop_->watch_of(*this));
  loop_->forget(*this);
}

bool StreamAwaiter::await_ready() {
  CallerLoop::require_current();
  prepare();
  return false;
}

bool StreamAwaiter::await_suspend(std::coroutine_handle<> waiter) {
  CallerLoop& loop = CallerLoop::require_current();
  if (!stream_.watch(loop.expect(*this))) return false;
  loop.suspend(*this, waiter);
  return true;
}

}  // namespace pinion::detail
