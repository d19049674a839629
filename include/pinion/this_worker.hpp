// Where a task runs, and which one it is. For use inside tasks.
#pragma once

#include <pinion/detail/api.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace pinion {

/// Whether the caller runs in a worker of a pool. False in a child that a task has forked.
[[nodiscard]] PINION_API bool in_worker() noexcept;

/// The worker that the caller runs in. Outside of one, each throws `std::logic_error`.
namespace this_worker {

/// 0 to `Pool::processes() - 1`; a successor has the index of the one that died.
[[nodiscard]] PINION_API unsigned index();
/// What it is bound to, as the kernel reported it; empty where it is not bound.
[[nodiscard]] PINION_API const std::vector<unsigned>& cpus();
/// The NUMA node of those CPUs; -1 where it is not known.
[[nodiscard]] PINION_API int numa_node();
/// 1 for the first process with this index, one more for each successor.
[[nodiscard]] PINION_API std::uint32_t generation();

}  // namespace this_worker

/// The task that the caller runs in. Outside of one, each throws `std::logic_error`.
namespace this_task {

/// Index of the item in its map; 0 for a single task.
[[nodiscard]] PINION_API std::uint64_t index();
/// 1 when the item is started first, one more for each of `TaskOptions::retries`; counts to 256.
[[nodiscard]] PINION_API unsigned attempt();
/// When its time limit passes; empty where it has none.
[[nodiscard]] PINION_API std::optional<std::chrono::steady_clock::time_point> deadline();
/// Whether it was asked to stop: cancelled, or its time limit has passed.
[[nodiscard]] PINION_API bool stop_requested();

}  // namespace this_task

}  // namespace pinion
