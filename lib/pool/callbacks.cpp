#include "lib/pool/callbacks.hpp"

#include <csignal>
#include <memory>

#include "lib/os/futex.hpp"
#include "lib/os/quiet_thread.hpp"

namespace pinion::pool {

Callbacks::~Callbacks() {
  Function* left = nullptr;
  while (queue_.pop(left)) delete left;
}

bool Callbacks::expect(WaitForResults wait) {
  const std::lock_guard lock(start_mutex_);
  // A callback may register others to the last: its thread looks again before it ends.
  if (stopping_.load() && !on_this_thread()) return false;
  if (!thread_.joinable() && !stopping_.load()) {
    wait_ = std::move(wait);
    thread_ = os::quiet_thread("pinion-callback", [this] { run(); });
  }
  if (expected_.fetch_add(1, std::memory_order_seq_cst) == 0) wake();
  return true;
}

void Callbacks::run_here(const Function& function) noexcept {
  try {
    function();
  } catch (...) {
    errors_.fetch_add(1, std::memory_order_relaxed);
  }
}

void Callbacks::post(Function function) noexcept {
  try {
    auto owner = std::make_unique<Function>(std::move(function));
    queue_.push(owner.get());
    static_cast<void>(owner.release());
  } catch (...) {  // no memory: it is not called, and counted
    errors_.fetch_add(1, std::memory_order_relaxed);
    expected_.fetch_sub(1, std::memory_order_relaxed);
  }
  wake();
}

/// EDGE asleep: who posts counts, then looks whether the thread sleeps; the thread says that it
/// sleeps, then sleeps only if the count is as it was.
void Callbacks::wake() noexcept {
  posted_.fetch_add(1, std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_seq_cst)) os::futex_wake(posted_, 1);
}

void Callbacks::stop() noexcept {
  std::thread thread;
  {  // not held while joining: what still runs may register callbacks
    const std::lock_guard lock(start_mutex_);
    stopping_.store(true);
    thread = std::move(thread_);
  }
  wake();
  if (thread.joinable()) thread.join();
}

void Callbacks::run_posted() noexcept {
  Function* function = nullptr;
  while (queue_.pop(function)) {
    const std::unique_ptr<Function> owner(function);
    run_here(*owner);
    expected_.fetch_sub(1, std::memory_order_relaxed);
  }
}

void Callbacks::sleep() noexcept {
  const std::uint32_t seen = posted_.load(std::memory_order_acquire);
  asleep_.store(true, std::memory_order_seq_cst);
  if (queue_.empty() && !stopping_.load() && expected() == 0) os::futex_wait(posted_, seen);
  asleep_.store(false, std::memory_order_relaxed);
}

void Callbacks::run() noexcept {
  thread_id_.store(std::this_thread::get_id());
  for (;;) {
    run_posted();
    if (stopping_.load() && expected() == 0) return;
    if (expected() == 0) {
      sleep();
    } else if (queue_.empty()) {
      wait_([this] { return !queue_.empty(); });
    }
  }
}

}  // namespace pinion::pool
