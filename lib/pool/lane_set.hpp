// A set of worker indices from which one is found without looking at all workers.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace pinion::pool {

class LaneSet {
 public:
  explicit LaneSet(unsigned lanes) : words_((lanes + 63) / 64) {}

  void set(unsigned lane, bool member) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << (lane % 64);
    if (member) {
      words_[lane / 64] |= bit;
    } else {
      words_[lane / 64] &= ~bit;
    }
  }

  /// The first member at or after `from`, round the end; -1 where there is none.
  [[nodiscard]] int next(unsigned from) const noexcept {
    const auto count = static_cast<unsigned>(words_.size());
    if (count == 1) [[likely]] {
      const std::uint64_t behind = words_[0] & ~std::uint64_t{0} << (from % 64);
      if (words_[0] == 0) return -1;
      return std::countr_zero(behind != 0 && from < 64 ? behind : words_[0]);
    }
    const unsigned begin = from / 64 % count;
    for (unsigned i = 0; i <= count; ++i) {
      const unsigned w = (begin + i) % count;
      std::uint64_t word = words_[w];
      if (i == 0) word &= ~std::uint64_t{0} << (from % 64);
      if (word != 0) return static_cast<int>(w * 64) + std::countr_zero(word);
    }
    return -1;
  }

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace pinion::pool
