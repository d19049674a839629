// Every size and count of the suite, so that rivals are asked for the same thing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pinion::perf::sizes {

/// Slots of every ring. 1024 slots of 64 bytes are one L2's worth of neither side.
inline constexpr std::size_t ring_slots = 1024;

/// Messages through a ring in one measurement: 20 ms when the two cores share a cache, 120 when
/// not.
inline constexpr std::uint64_t ring_items = 1'000'000;

/// Tasks in flight wherever a window is asked for.
inline constexpr std::size_t window = 64;

/// Calls of `apply`, one after the other.
inline constexpr std::uint64_t apply_calls = 20'000;

/// Tasks through the bare farm, and through `apply_async`, which is some ten times slower.
inline constexpr std::uint64_t farm_tasks = 1'000'000;
inline constexpr std::uint64_t async_tasks = 200'000;

/// Items of a map of chunks of one.
inline constexpr std::uint32_t map_items = 200'000;

/// Wake-ups in one measurement, and the pause before each, in which the other side falls asleep:
/// ten times what a wake-up costs on a virtual machine.
inline constexpr unsigned wake_calls = 100;
inline constexpr unsigned wake_pause_us = 500;

/// Child processes of a batch, and how many run at a time.
inline constexpr unsigned batch_jobs = 1000;
inline constexpr unsigned batch_slots = 2;

/// Reads of one block: in order of a random walk over the file, and as many as take some 100 ms.
inline constexpr std::size_t block_bytes = 4096;
inline constexpr std::uint64_t cache_file_bytes = std::uint64_t{64} << 20;
inline constexpr std::uint64_t cache_reads = 200'000;
inline constexpr std::uint64_t disk_file_bytes = std::uint64_t{1} << 30;
inline constexpr std::uint64_t disk_reads = 4'000;

/// Timers at once, and how long each takes.
inline constexpr unsigned timers = 10'000;
inline constexpr unsigned timer_ms = 100;

/// Connections of the echo, the bytes of a message, those that a server asks for (it does not know
/// how long a message is), and messages on each connection.
inline constexpr unsigned echo_connections = 1000;
inline constexpr std::size_t echo_bytes = 64;
inline constexpr std::size_t echo_buffer_bytes = 4096;
inline constexpr unsigned echo_rounds = 50;

/// Coroutines, one after the other.
inline constexpr std::uint64_t coroutines = 1'000'000;

/// A shared array that is passed by handle: far more than any cache.
inline constexpr std::size_t array_bytes = std::size_t{64} << 20;

/// Elements of a loop over shared arrays, 80 MB in and as much out; loops in one measurement, after
/// as many that touch all pages for the first time.
inline constexpr std::size_t loop_items = 10'000'000;
inline constexpr unsigned loops = 5;
inline constexpr unsigned loop_warm_ups = 2;

/// Vectors that come back as they were sent: within the second-level cache, and beyond it; and how
/// many bytes are sent in one measurement.
inline constexpr std::size_t vector_small_bytes = std::size_t{64} << 10;
inline constexpr std::size_t vector_large_bytes = std::size_t{1} << 20;
inline constexpr std::size_t vector_bytes_sent = std::size_t{256} << 20;

/// A tree of files that is hashed; what --quick takes is in the same proportion.
struct Tree {
  unsigned large_files;
  std::uint64_t large_bytes;
  unsigned small_files;
  std::uint64_t small_bytes;
};
inline constexpr Tree tree{4, std::uint64_t{512} << 20, 20'000, std::uint64_t{16} << 10};
inline constexpr Tree tree_quick{4, std::uint64_t{64} << 20, 2'500, std::uint64_t{16} << 10};

/// Read at once: a few of them fit a second-level cache.
inline constexpr std::size_t tree_piece_bytes = 128 * 1024;

/// Pools that are made and ended in one measurement, and the workers of each.
inline constexpr unsigned start_pools = 10;
inline constexpr unsigned start_workers = 2;

/// What a program that computes has touched before it makes a pool.
inline constexpr std::size_t touched_bytes = std::size_t{4} << 30;

/// How long one reading of the distance between the two cores takes.
inline constexpr unsigned probe_ms = 10;

}  // namespace pinion::perf::sizes
