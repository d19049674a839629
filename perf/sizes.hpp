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

/// How long one reading of the distance between the two cores takes.
inline constexpr unsigned probe_ms = 10;

}  // namespace pinion::perf::sizes
