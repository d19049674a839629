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

void Callbacks::start() {
  const std::lock_guard lock(start_mutex_);
  if (thread_.joinable() || stopping_.load()) return;
  thread_ = os::quiet_thread("pinion-callback", [this] { run(); });
}

void Callbacks::post(Function function) {
  queue_.push(new Function(std::move(function)));
  posted_.fetch_add(1, std::memory_order_release);
  os::futex_wake(posted_, 1);
}

void Callbacks::stop() noexcept {
  stopping_.store(true);
  posted_.fetch_add(1, std::memory_order_release);
  os::futex_wake(posted_, 1);
  const std::lock_guard lock(start_mutex_);
  if (thread_.joinable() && !on_this_thread()) thread_.join();
}

void Callbacks::run() noexcept {
  thread_id_.store(std::this_thread::get_id());
  for (;;) {
    const std::uint32_t seen = posted_.load(std::memory_order_acquire);
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
    if (stopping_.load() && queue_.empty()) return;
    if (posted_.load(std::memory_order_acquire) == seen) os::futex_wait(posted_, seen);
  }
}

}  // namespace pinion::pool
