// Sizes of the arena, each with its unit and its argument.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pinion::shm {

/// Slots of each ring. 1024 slots are 64 KiB, which stays in a core's second-level cache; 20 us of
/// the shortest tasks (20 ns) are as many.
inline constexpr std::size_t ring_slots = 1024;

/// Tasks that can be under way to one worker: each holds a result slot. The rest of the task ring
/// is kept for control messages.
inline constexpr std::size_t flights_max = 768;

/// Control messages that a worker may have unread.
inline constexpr std::size_t controls_max = ring_slots - flights_max;

/// Committed at the start in the manager's segment for arguments, and in a worker's for results.
/// Both grow in place, so a start is small: committing 1 MiB of fresh memory costs about 0.2 ms.
inline constexpr std::size_t argument_bytes_start = std::size_t{1} << 20;
inline constexpr std::size_t result_bytes_start = std::size_t{1} << 19;

/// A segment grows by at least so much.
inline constexpr std::size_t growth_bytes_min = std::size_t{1} << 20;

/// A result of at most this many bytes is copied out when it is collected; a larger one is read
/// where it lies.
inline constexpr std::size_t copied_result_bytes_max = 256;

}  // namespace pinion::shm
