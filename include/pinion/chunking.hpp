// How a map's items are cut into chunks.
#pragma once

#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace pinion {

/// The number of items that travel together. It never shows in the semantics: each item has its own
/// outcome whatever the chunk.
///
/// Made from any integer but `bool`; zero or less is `std::invalid_argument`. The default is
/// automatic: a chunk starts at n / (64 workers), is capped at 1 ms of measured work, and never
/// exceeds what remains / (2 workers). Coroutine tasks travel one by one.
class Chunking {
 public:
  Chunking() noexcept = default;

  template <std::integral Int>
  requires(!std::same_as<std::remove_cv_t<Int>, bool>) Chunking(Int items)
      : items_(checked(items)) {}  // NOLINT: implicit by design

  /// Chunks of exactly `items` items, but for the last.
  template <std::integral Int>
  requires(!std::same_as<std::remove_cv_t<Int>, bool>) static Chunking fixed(Int items) {
    return Chunking(items);
  }

  /// Items of a chunk; 0 where it is automatic.
  [[nodiscard]] std::size_t items() const noexcept { return items_; }
  [[nodiscard]] bool is_automatic() const noexcept { return items_ == 0; }

 private:
  template <class Int>
  static std::size_t checked(Int items) {
    if (std::cmp_less(items, 1)) {
      throw std::invalid_argument("chunksize must be at least 1, not " + std::to_string(items));
    }
    return static_cast<std::size_t>(items);
  }

  std::size_t items_ = 0;
};

}  // namespace pinion
