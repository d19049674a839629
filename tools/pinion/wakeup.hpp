// Wakes the command's main loop from another thread or a signal handler.
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "descriptor.hpp"

namespace pinion::command {

/// An eventfd that the main loop polls.
class Wakeup {
 public:
  /// Throws std::system_error.
  Wakeup();
  [[nodiscard]] int descriptor() const noexcept { return event_.get(); }
  /// Safe in a signal handler.
  void wake() const noexcept;
  void clear() const noexcept;

 private:
  Descriptor event_;
};

/// The places of finished jobs, from the pool's callback thread to the main loop.
class Completions {
 public:
  explicit Completions(const Wakeup& wakeup) noexcept : wakeup_(wakeup) {}

  /// Called by: the callback thread.
  void push(std::uint32_t place) {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      first = places_.empty();
      places_.push_back(place);
    }
    if (first) wakeup_.wake();
  }
  /// Swaps `places`, which is emptied, for what has come. Called by: the main loop.
  void take(std::vector<std::uint32_t>& places) {
    places.clear();
    const std::lock_guard lock(mutex_);
    places_.swap(places);
  }

 private:
  const Wakeup& wakeup_;
  std::mutex mutex_;
  std::vector<std::uint32_t> places_;
};

}  // namespace pinion::command
