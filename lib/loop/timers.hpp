// The sleeping coroutines: a binary heap by deadline, first come first served among equals.
#pragma once

#include <pinion/detail/operation.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/os/clock.hpp"

namespace pinion::loop {

/// Each operation knows its place, so that a cancellation costs O(log n) as the rest does.
class Timers {
 public:
  [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
  /// When the first one is due; `os::never_ns` where there is none.
  [[nodiscard]] std::int64_t next_ns() const noexcept {
    return heap_.empty() ? os::never_ns : heap_.front()->deadline_ns;
  }
  void add(detail::Operation& operation);
  void remove(detail::Operation& operation) noexcept;
  /// The first one that is due by `now_ns`, removed; null where none is.
  detail::Operation* pop_due(std::int64_t now_ns) noexcept;

 private:
  void place(detail::Operation& operation, std::size_t index) noexcept;
  void sift_up(detail::Operation& operation, std::size_t index) noexcept;
  void sift_down(detail::Operation& operation, std::size_t index) noexcept;

  std::vector<detail::Operation*> heap_;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace pinion::loop
