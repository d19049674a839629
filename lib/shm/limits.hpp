// Sizes of the arena, each with its unit and its argument.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pinion::shm {

/// How much can be under way to one worker.
struct Capacity {
  /// Slots of each ring, a power of two. 1024 slots are 64 KiB, which stays in a core's
  /// second-level cache; 20 us of the shortest tasks (20 ns) are as many.
  std::uint32_t ring_slots = 1024;
  /// Tasks: each holds a result slot. Numbers of 16 bits name them, and one means none.
  std::uint32_t flights = 768;

  static constexpr std::uint32_t flights_max = 0xfffe;

  /// Control messages that a worker may have unread: the rest of the task ring.
  [[nodiscard]] constexpr std::uint32_t controls() const noexcept { return ring_slots - flights; }

  /// More where more coroutine tasks are to run at once, with some that wait behind them.
  static constexpr Capacity for_concurrency(std::uint32_t tasks) noexcept {
    Capacity capacity;
    const std::uint32_t needed = tasks > flights_max - 256 ? flights_max : tasks + 256;
    if (needed <= capacity.flights) return capacity;
    capacity.flights = needed;
    while (capacity.ring_slots - capacity.ring_slots / 4 < needed) capacity.ring_slots *= 2;
    return capacity;
  }
};

/// Committed at the start in the manager's segment for arguments, and in a worker's for results.
/// Both grow in place, so a start is small: committing 1 MiB of fresh memory costs about 0.2 ms.
inline constexpr std::size_t argument_bytes_start = std::size_t{1} << 20;
inline constexpr std::size_t result_bytes_start = std::size_t{1} << 19;

/// A segment grows by at least so much.
inline constexpr std::size_t growth_bytes_min = std::size_t{1} << 20;

/// Shared arrays of a pool at a time. Each worker has a bit for each, in one page.
inline constexpr std::uint32_t arrays_max = 32'768;

/// Address space for shared arrays, over what the pool may hold: room for gaps between them.
inline constexpr std::uint64_t array_range_factor = 8;

/// A result of at most this many bytes is copied out when it is collected; a larger one is read
/// where it lies.
inline constexpr std::size_t copied_result_bytes_max = 256;

}  // namespace pinion::shm
