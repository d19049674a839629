#include <pinion/detail/pool_awaiter.hpp>
#include <pinion/detail/stream_core.hpp>

#include "lib/pool/caller_loop.hpp"
#include "lib/pool/core.hpp"

namespace pinion::detail {

using pool::CallerLoop;
using pool::Core;
using pool::Ledger;
using pool::Turns;

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
  Core& core = core_of(handle_);
  core.turns().require_other_workers();
  if (!core.watch(handle_.entry(), loop.expect(*this, core.turns()))) return false;
  begin(waiter);
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
  Turns& turns = static_cast<Core&>(stream_.core()).turns();
  turns.require_other_workers();
  if (!stream_.watch(loop.expect(*this, turns))) return false;
  begin(waiter);
  return true;
}

}  // namespace pinion::detail
