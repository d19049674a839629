// The errors that the manager itself ends a task with: they name the task, its item and its worker.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>

#include "lib/pool/arena.hpp"
#include "lib/pool/lane.hpp"

namespace pinion::pool {

/// Which task: a single one, or an item of a map.
struct TaskName {
  std::uint32_t number;
  std::optional<std::uint64_t> item;

  static TaskName single(const LedgerEntry& entry) noexcept { return {entry.number, {}}; }
  static TaskName item_of(const MapState& map, std::uint64_t item) noexcept {
    return {map.entry->number, item};
  }
  /// Of a flight that is used; `item` is of its map.
  static TaskName of(const Flight& flight, std::uint64_t item) noexcept {
    return flight.map != nullptr ? item_of(*flight.map, item) : single(*flight.entry);
  }
};

/// `TaskTimeout`: it ended by its time limit, or its worker was killed for it.
enum class TimedOut : std::uint8_t { stopped, killed };
std::exception_ptr timeout_error(TaskName task, const TaskOptions& options, const Lane& lane,
                                 TimedOut how) noexcept;

/// `Cancelled`.
std::exception_ptr cancelled_error(TaskName task) noexcept;

/// `ResourceError`: arguments find no room, and never will.
std::exception_ptr arena_shortage(const Arena& arena, std::uint64_t bytes);

}  // namespace pinion::pool
