// The callback thread: runs users' callbacks. Made with the first callback.
//
// While it has none to run and some will come, it waits as any caller does, so that it is often the
// one who collects: a result then reaches its callback without passing another thread.
#pragma once

#include <atomic>
#include <boost/lockfree/queue.hpp>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace pinion::pool {

class Callbacks {
 public:
  using Function = std::function<void()>;

  /// Waits for results until the function that it is given returns true.
  using WaitForResults = std::function<void(const std::function<bool()>& reached)>;

  Callbacks() : queue_(64) {}
  /// After `stop`.
  ~Callbacks();

  /// One more callback will come, when its task has ended; until then the thread does not end.
  /// Makes the thread if it is not there; `wait` is the first one's for all. False when the thread
  /// has ended or is about to: then the caller runs it itself. Throws `std::system_error`.
  bool expect(WaitForResults wait);
  /// Runs one on the calling thread.
  void run_here(const Function& function) noexcept;
  [[nodiscard]] std::uint64_t expected() const noexcept {
    return expected_.load(std::memory_order_seq_cst);  // EDGE told
  }
  /// Hands over an expected callback. Any thread, also under the pool's lock.
  void post(Function function) noexcept;
  /// Runs what was posted and ends the thread.
  void stop() noexcept;
  [[nodiscard]] bool on_this_thread() const noexcept {
    return thread_id_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }
  /// Exceptions that callbacks threw.
  [[nodiscard]] std::uint64_t errors() const noexcept {
    return errors_.load(std::memory_order_relaxed);
  }

 private:
  void run() noexcept;
  void run_posted() noexcept;
  void sleep() noexcept;
  void wake() noexcept;

  boost::lockfree::queue<Function*> queue_;
  std::atomic<std::uint32_t> posted_{0};  // counts; the thread sleeps on it
  std::atomic<bool> asleep_{false};       // and only then it is to be woken
  WaitForResults wait_;
  std::atomic<std::uint64_t> expected_{0};
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<std::thread::id> thread_id_{};
  std::mutex start_mutex_;
  std::thread thread_;
};

}  // namespace pinion::pool
