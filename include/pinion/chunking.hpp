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
  enum class Kind : unsigned char { automatic, fixed, guided, factoring };

  Chunking() noexcept = default;

  template <std::integral Int>
  requires(!std::same_as<std::remove_cv_t<Int>, bool>) Chunking(Int items)
      : items_(checked(items)), kind_(Kind::fixed) {}  // NOLINT: implicit by design

  /// Chunks of exactly `items` items, but for the last.
  template <std::integral Int>
  requires(!std::same_as<std::remove_cv_t<Int>, bool>) static Chunking fixed(Int items) {
    return Chunking(items);
  }

  /// Each chunk is what remains / workers, at least 1: few chunks, and the last ones are short
  /// (Polychronopoulos and Kuck 1987; OpenMP's schedule(guided)).
  static Chunking guided() noexcept { return Chunking(Kind::guided); }

  /// In rounds of as many equal chunks as there are workers, each round half of what remains, so
  /// that long items at the front harm less (Hummel, Schonberg and Flynn 1992).
  static Chunking factoring() noexcept { return Chunking(Kind::factoring); }

  /// Items of a fixed chunk; else 0.
  [[nodiscard]] std::size_t items() const noexcept { return items_; }
  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] bool is_automatic() const noexcept { return kind_ == Kind::automatic; }

 private:
  explicit Chunking(Kind kind) noexcept : kind_(kind) {}

  template <class Int>
  static std::size_t checked(Int items) {
    if (std::cmp_less(items, 1)) {
      throw std::invalid_argument("chunksize must be at least 1, not " + std::to_string(items));
    }
    return static_cast<std::size_t>(items);
  }

  std::size_t items_ = 0;
  Kind kind_ = Kind::automatic;
};

}  // namespace pinion
