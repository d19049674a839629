// Hands out blocks of a segment's memory. All bookkeeping is private memory of the segment's
// writer.
//
// Small blocks (to 8 KiB) come from pages of 64 KiB, one size class a page, last freed first
// handed out, so that they stay in cache. Larger ones are extents of whole 4 KiB, best fit, joined
// again when freed. A page without blocks goes back to the extents.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace pinion::shm {

class Space {
 public:
  static constexpr std::uint64_t block_align = 64;
  static constexpr std::uint64_t page_bytes = 64 * 1024;
  static constexpr std::uint64_t small_max = 8 * 1024;

  /// Blocks lie in [begin, end); both are multiples of 4 KiB.
  Space(std::uint64_t begin, std::uint64_t end);

  /// Adds [the end so far, `end`).
  void extend(std::uint64_t end);

  /// A block of at least `bytes`, aligned to 64 (to 4096 above 8 KiB). Empty where there is none.
  /// O(1) for small blocks, O(log n) else; small ones allocate no memory once warm.
  std::optional<std::uint64_t> take(std::uint64_t bytes);

  /// Throws `std::bad_alloc`; then nothing has changed.
  ///
  /// Gives back what `take(bytes)` returned. Allocates nothing.
  void give(std::uint64_t offset, std::uint64_t bytes) noexcept;

  /// Bytes handed out, as rounded.
  [[nodiscard]] std::uint64_t used() const noexcept { return used_; }
  [[nodiscard]] std::uint64_t end() const noexcept { return end_; }
  [[nodiscard]] std::uint64_t capacity() const noexcept { return end_ - begin_; }

  /// What a block of `bytes` takes.
  static std::uint64_t rounded(std::uint64_t bytes) noexcept;

 private:
  static constexpr std::size_t classes = 15;
  struct Page {
    std::uint64_t begin = 0;
    std::uint32_t used = 0;
    std::uint32_t fresh = 0;          // blocks from here on were never handed out
    std::vector<std::uint16_t> free;  // numbers of freed blocks
    std::uint32_t size_class = 0;
    bool listed = false;  // in open_[size_class]
  };

  static std::size_t class_of(std::uint64_t bytes) noexcept;
  Page* page_for(std::size_t size_class);
  void release_page(Page& page) noexcept;
  std::optional<std::uint64_t> take_extent(std::uint64_t bytes, std::uint64_t align);
  void give_extent(std::uint64_t offset, std::uint64_t bytes) noexcept;
  void join_free(std::uint64_t offset, std::uint64_t bytes) noexcept;
  void reserve_nodes();
  void add_free(std::uint64_t offset, std::uint64_t bytes) noexcept;
  void remove_free(std::uint64_t offset, std::uint64_t bytes) noexcept;

  std::uint64_t begin_;
  std::uint64_t end_;
  std::uint64_t used_ = 0;
  using ByOffset = std::map<std::uint64_t, std::uint64_t>;
  using BySize = std::set<std::pair<std::uint64_t, std::uint64_t>>;
  ByOffset by_offset_;  // free extents: offset -> bytes
  BySize by_size_;      // bytes, offset
  // As many as extents are taken, and two: giving back needs no memory.
  std::vector<ByOffset::node_type> spare_by_offset_;
  std::vector<BySize::node_type> spare_by_size_;
  std::size_t extents_taken_ = 0;
  std::vector<std::unique_ptr<Page>> pages_;  // by page number
  std::array<std::size_t, classes> pages_made_{};
  std::array<std::vector<Page*>, classes> open_;  // pages that have free blocks
};

}  // namespace pinion::shm
