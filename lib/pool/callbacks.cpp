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

void Callbacks::start(WaitForResults wait) {
  const std::lock_guard lock(start_mutex_);
  if (thread_.joinable() || stopping_.load()) return;
  wait_ = std::move(wait);
  thread_ = os::quiet_thread("pinion-callback", [this] { run(); });
}

void Callbacks::post(Function function) {
  queue_.push(new Function(std::move(function)));
  wake();
}

/// EDGE asleep: who posts counts, then looks whether the thread sleeps; the thread says that it
/// sleeps, then sleeps only if the count is as it was.
void Callbacks::wake() noexcept {
  posted_.fetch_add(1, std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_seq_cst)) os::futex_wake(posted_, 1);
}

void Callbacks::stop() noexcept {
  stopping_.store(true);
  wake();
  const std::lock_guard lock(start_mutex_);
  if (thread_.joinable() && !on_this_thread()) thread_.join();
}

void Callbacks::run_posted() noexcept {
  Function* function = nullptr;
  while (queue_.pop(function)) {
    const std::unique_ptr<Function> owner(function);
    try {
      (*owner)();
    } catch (...) {
      errors_.fetch_add(1, std::memory_order_relaxed);
    }
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
    if (stopping_.load() && queue_.empty()) return;
    if (expected() == 0) {
      sleep();
    } else if (queue_.empty() && !stopping_.load()) {
      wait_([this] { return !queue_.empty() || stopping_.load(); });
    }
  }
}

}  // namespace pinion::pool
