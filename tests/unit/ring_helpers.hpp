// Memory and messages for tests of rings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

#include "lib/ring/slot.hpp"

namespace pinion::tests {

/// A message that says its number in every word, so that a torn or stale one is noticed.
struct Numbered {
  static constexpr std::size_t count = ring::message_bytes / sizeof(std::uint64_t);
  std::uint64_t words[count];

  static Numbered of(std::uint64_t number) noexcept {
    Numbered message;
    for (std::size_t i = 0; i < count; ++i) message.words[i] = number * 1'000'003 + i;
    return message;
  }
  [[nodiscard]] bool is(std::uint64_t number) const noexcept {
    const Numbered expected = of(number);
    return std::memcmp(this, &expected, sizeof expected) == 0;
  }
};

/// Zeroed memory, aligned as rings need it.
class RingMemory {
 public:
  explicit RingMemory(std::size_t bytes)
      : begin_(new (std::align_val_t{ring::writer_bytes}) std::byte[bytes]{}) {}
  [[nodiscard]] std::byte* begin() const noexcept { return begin_.get(); }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept {
      ::operator delete[](p, std::align_val_t{ring::writer_bytes});
    }
  };
  std::unique_ptr<std::byte[], Free> begin_;
};

}  // namespace pinion::tests
