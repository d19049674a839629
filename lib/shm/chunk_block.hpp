// The outcomes of a chunk's items, in its worker's segment.
//
//   +-----------+--------------------------------------------+-------+
//   | ChunkBlock| values, `stride` bytes each                | marks |   sizes all alike
//   +-----------+--------------------------------------------+-------+
//   | ChunkBlock| ValueRef each: where its value lies        | marks |   sizes differ
//   +-----------+--------------------------------------------+-------+
//
// Errors are a list of records, newest first, so that a chunk without errors pays nothing for them.
// Marks are there for coroutine tasks only, whose items end in any order. Everything is written by
// the worker and may be read after its death: what a word names was stored before it (release).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pinion::shm {

struct ChunkBlock {
  std::atomic<std::uint64_t> errors;  // offset of the newest ErrorRecord; 0: none
  std::uint64_t reserved[7];
};
static_assert(sizeof(ChunkBlock) == 64, "values begin on a cache line");

struct ValueRef {
  std::atomic<std::uint64_t> offset;  // 0: none; stored after `bytes`
  std::uint64_t bytes;
};

enum class ItemError : std::uint32_t { exception, cancelled, timed_out };

/// Followed by `bytes` of an encoded exception.
struct ErrorRecord {
  std::uint64_t next;
  std::uint32_t item;
  ItemError kind;
  std::uint64_t bytes;
};

enum ItemMark : std::uint8_t { item_unstarted = 0, item_started = 1, item_ended = 2 };

inline constexpr std::uint32_t variable_stride = 0xffff'ffff;

constexpr std::uint64_t values_bytes(std::uint32_t count, std::uint32_t stride) noexcept {
  const std::uint64_t each = stride == variable_stride ? sizeof(ValueRef) : stride;
  return (count * each + 7) / 8 * 8;
}
constexpr std::uint64_t marks_at(std::uint32_t count, std::uint32_t stride) noexcept {
  return sizeof(ChunkBlock) + values_bytes(count, stride);
}
constexpr std::uint64_t chunk_block_bytes(std::uint32_t count, std::uint32_t stride,
                                          bool marks) noexcept {
  return marks_at(count, stride) + (marks ? count : 0);
}

}  // namespace pinion::shm
