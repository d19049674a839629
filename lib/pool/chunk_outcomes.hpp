// Reads the outcomes of a chunk's items out of its worker's segment, trusting nothing there.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/pool/lane.hpp"
#include "lib/shm/chunk_block.hpp"

namespace pinion::pool {

class ChunkOutcomes {
 public:
  struct Error {
    std::uint32_t item;
    shm::ItemError kind;
    std::span<const std::byte> bytes;
  };

  /// Empty where the block does not lie in the segment or its error list makes no sense.
  static std::optional<ChunkOutcomes> read(const Lane& lane, std::uint64_t block,
                                           std::uint32_t count, std::uint32_t stride, bool marks);

  /// The error of one item, or null.
  [[nodiscard]] const Error* error_of(std::uint32_t item) const noexcept;
  /// Sorted by item, one for each.
  [[nodiscard]] const std::vector<Error>& errors() const noexcept { return errors_; }
  /// Values of `stride` bytes, side by side.
  [[nodiscard]] const std::byte* values() const noexcept { return values_; }
  /// The value of one item. Empty where it does not lie in the segment, and where the values asked
  /// for are more than the segment holds: those of an honest worker do not overlap.
  [[nodiscard]] std::optional<std::span<const std::byte>> value(std::uint32_t item) const;
  [[nodiscard]] shm::ItemMark mark(std::uint32_t item) const noexcept;

 private:
  ChunkOutcomes(const Lane& lane, std::uint32_t count, std::uint32_t stride)
      : lane_(lane),
        count_(count),
        stride_(stride),
        bytes_left_(lane.segment->committed() - lane.results_begin) {}
  bool read_errors(std::uint64_t at);

  const Lane& lane_;
  std::uint32_t count_;
  std::uint32_t stride_;
  const std::byte* values_ = nullptr;
  const std::byte* marks_ = nullptr;
  std::vector<Error> errors_;
  mutable std::uint64_t bytes_left_;  // that values may still have
};

}  // namespace pinion::pool
