// How tasks come back from workers, to be given to others, or once more.

#include <cstring>
#include <utility>

#include "lib/pool/dispatcher.hpp"
#include "lib/pool/side.hpp"
#include "lib/pool/task_errors.hpp"

namespace pinion::pool {

using detail::Side;

void Dispatcher::reserve_requeue(const Lane& lane, std::span<const std::uint16_t> flights) {
  state_.backlog.reserve(flights.size());
  state_.lanes[lane.index]->bound.reserve(flights.size());
  std::size_t ranges = 0;  // of a chunk of coroutines each item may come back by itself
  for (const std::uint16_t number : flights) {
    const Flight& flight = lane.flights[number];
    ranges += (flight.flags & ring::task_is_coroutine) != 0 ? flight.assigned : 1;
  }
  for (const std::uint16_t number : flights) {
    const Flight& flight = lane.flights[number];
    if (flight.map != nullptr) {
      flight.map->taken_back.reserve(flight.map->taken_back.size() + ranges);
    } else if (flight.entry != nullptr && (flight.stopping || state_.stopped())) {
      Settler::side_of(*flight.entry);
    }
  }
}

void Dispatcher::requeue(Lane& lane, std::uint16_t number) {
  reserve_requeue(lane, {&number, 1});
  Flight& flight = lane.flights[number];
  if (flight.map != nullptr) {
    MapState& map = *std::exchange(flight.map, nullptr);
    give_back(map, {flight.first, flight.assigned});
    return;
  }
  LedgerEntry& entry = *std::exchange(flight.entry, nullptr);
  if (state_.stopped()) {
    settler_.local_error(entry, state_.stop_error());
    return;
  }
  if (flight.stopping) {  // elsewhere nothing would tell it to stop
    settler_.local_error(entry, cancelled_error(TaskName::single(entry)));
    return;
  }
  const std::uint8_t kept_flags =
      flight.flags & static_cast<std::uint8_t>(~ring::payload_is_inline);
  entry.code = flight.code | std::uint64_t{kept_flags} << code_flags_shift;
  if ((flight.flags & ring::payload_is_inline) != 0) {
    std::memcpy(entry.data, flight.payload.inline_bytes, flight.inline_bytes);
    entry.bytes = flight.inline_bytes;
  } else {
    std::memcpy(entry.data, &flight.payload.block, sizeof flight.payload.block);
    entry.code |= code_in_arena;
    flight.arguments_moved = true;
  }
  state_.put_back({&entry, nullptr});
}

bool Dispatcher::may_retry(const Flight& flight) const noexcept {
  const Side* const side = flight.entry->side;
  if (side == nullptr || side->attempts >= side->options.retries) return false;
  return !flight.stopping && !state_.stopped();
}

bool Dispatcher::retry(Lane& lane, std::uint16_t number) {
  const Flight& flight = lane.flights[number];
  if (!may_retry(flight)) return false;
  reserve_requeue(lane, {&number, 1});
  ++flight.entry->side->attempts;
  ++state_.counters.retried;
  requeue(lane, number);
  return true;
}

void Dispatcher::give_back(MapState& map, ItemRange range) {
  if (range.count == 0) return;
  if (map.stopping()) {
    settler_.items_stopped(map, range.first, range.count, map.stop_error);
    return;
  }
  map.taken_back.push_back(range);
  if (!std::exchange(map.listed, true)) state_.put_back({nullptr, &map});
}

}  // namespace pinion::pool
