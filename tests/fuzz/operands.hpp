// The bytes of a program, as its steps take them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "fuzz/workerless_pool.hpp"

namespace fuzz {

/// The operands of steps.
class Operands {
 public:
  explicit Operands(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ended() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t b = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return b;
  }
  std::uint32_t below(std::uint32_t n) {
    return n <= 256 ? byte() % n : number<std::uint32_t>() % n;
  }
  /// One of the pool's workers.
  unsigned worker() { return below(WorkerlessPool::workers); }
  template <class Number>
  Number number() {
    Number n = 0;
    for (std::size_t i = 0; i < sizeof n; ++i) n = static_cast<Number>(n | Number{byte()} << 8 * i);
    return n;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace fuzz
