// How what waits is given to workers that have room.

#include <pinion/errors.hpp>

#include <algorithm>
#include <cstring>
#include <string>

#include "lib/pool/dispatcher.hpp"
#include "lib/pool/side.hpp"
#include "lib/pool/task_errors.hpp"

namespace pinion::pool {

/// Nobody runs anything, and no submit is about to: no answer will give memory back.
bool Dispatcher::nothing_will_end() const noexcept {
  return reserved_ == 0 && std::all_of(state_.lanes.begin(), state_.lanes.end(),
                                       [](const auto& lane) { return lane->in_flight() == 0; });
}

/// The first of the backlog finds no room although nothing runs: what holds memory goes first, and
/// with nothing like it the rest is in results, so that waiting would not help.
bool Dispatcher::make_room(Backlog& queue) {
  const Waiting first = queue.front();
  const bool promoted = queue.promote(
      [](const Waiting& w) { return w.entry != nullptr && (w.entry->code & code_in_arena) != 0; });
  if (promoted) return true;
  if (first.map == nullptr) {
    queue.pop_front();
    settler_.local_error(*first.entry,
                         arena_shortage(state_.arena, first.entry->side->arguments.size()));
    return true;
  }
  MapState& map = *first.map;
  const ItemRange range = map.take(map.chunk_items(state_.workers));
  if (range.count > 1) {  // it goes on with smaller chunks
    map.taken_back.push_back(range);
  } else {
    settler_.items_local_error(map, range.first, 1,
                               arena_shortage(state_.arena, map.job->chunk_bytes(range.first, 1)));
  }
  return true;
}

/// Gives the first of a queue to a worker. False where it finds no room, and may later.
bool Dispatcher::send_first(Backlog& queue, Lane& lane) {
  const Waiting next = queue.front();
  const bool sent = next.map != nullptr ? send_chunk(lane, *next.map) : send(lane, *next.entry);
  if (!sent) return nothing_will_end() && make_room(queue);
  if (next.map == nullptr) queue.pop_front();
  return true;
}

/// Drops a map from the front of a queue that has nothing more to give. False where there is none.
bool Dispatcher::drop_exhausted(Backlog& queue) {
  MapState* const map = queue.front().map;
  if (map == nullptr || (!map->exhausted() && !map->stopping())) return false;
  queue.pop_front();
  map->listed = false;
  settler_.finish_map(*map);
  return true;
}

void Dispatcher::feed() {
  if (state_.bound_waiting) [[unlikely]]
    feed_bound();
  while (!state_.backlog.empty()) {
    if (drop_exhausted(state_.backlog)) continue;
    Lane* lane = choose();
    if (lane == nullptr || !send_first(state_.backlog, *lane)) break;
  }
  state_.backlogged.store(!state_.backlog.empty() || state_.bound_waiting,
                          std::memory_order_relaxed);
}

/// What waits for a worker that has died and gets no successor.
void Dispatcher::fail_first(Lane& lane) {
  const Waiting first = lane.bound.front();
  const auto error = std::make_exception_ptr(PoolTerminated(
      "worker " + std::to_string(lane.index) +
      " has died, and the process that makes workers too, so that its tasks cannot run"));
  if (first.map != nullptr) {
    const ItemRange range = first.map->take(~std::uint32_t{0});
    settler_.items_local_error(*first.map, range.first, range.count, error);
    return;
  }
  Settler::side_of(*first.entry);
  lane.bound.pop_front();
  end_waiting(*first.entry, error);
}

void Dispatcher::end_waiting(LedgerEntry& entry, const std::exception_ptr& error) {
  if ((entry.code & code_in_arena) != 0) {
    ring::BlockRef block{};
    std::memcpy(&block, entry.data, sizeof block);
    state_.arena.give_arguments(block.offset, block.bytes);
  }
  settler_.local_error(entry, error);
}

/// What waits for one worker and no other.
void Dispatcher::feed_bound() {
  for (const auto& lane : state_.lanes) {
    const bool gone = !lane->alive() && state_.no_successors;
    while (!lane->bound.empty()) {
      if (drop_exhausted(lane->bound)) continue;
      if (gone) {
        fail_first(*lane);
        continue;
      }
      if (!lane->takes_tasks() || !lane->has_room() || !send_first(lane->bound, *lane)) break;
    }
  }
  state_.bound_waiting = state_.anything_bound();
}

/// What was accepted stays accepted where memory is short: whoever collects next feeds again.
void Dispatcher::feed_if_possible() noexcept {
  try {
    feed();
  } catch (...) {
    state_.backlogged.store(true, std::memory_order_relaxed);
  }
}

}  // namespace pinion::pool
