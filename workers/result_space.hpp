// The worker's result memory: hands out blocks, and takes them back when the manager has read them.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include "lib/ring/claim.hpp"
#include "lib/shm/space.hpp"

namespace pinion::workers {

class ResultSpace {
 public:
  ResultSpace(std::byte* segment, std::uint64_t begin, const ring::ManagerLine& line);

  /// A block, from what is free, what the manager has drained meanwhile, or what it has granted.
  /// Empty where there is none.
  std::optional<std::uint64_t> take(std::uint64_t bytes);

  /// The block is free once the result at `position` has been drained.
  void free_when_drained(std::uint64_t position, std::uint64_t offset, std::uint64_t bytes);
  /// The block is read where it lies, until `give_back`.
  void keep(std::uint64_t offset, std::uint64_t bytes) { kept_.emplace(offset, bytes); }
  void give_back(std::uint64_t offset);
  /// A block that never left.
  void give(std::uint64_t offset, std::uint64_t bytes) { space_.give(offset, bytes); }

  [[nodiscard]] std::byte* at(std::uint64_t offset) const noexcept { return segment_ + offset; }

 private:
  struct Published {
    std::uint64_t position, offset, bytes;
  };
  void reclaim();
  bool extend();

  std::byte* segment_;
  const ring::ManagerLine& line_;
  shm::Space space_;
  std::deque<Published> published_;
  std::unordered_map<std::uint64_t, std::uint64_t> kept_;  // offset -> bytes
  unsigned since_reclaim_ = 0;
};

}  // namespace pinion::workers
