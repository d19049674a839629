#include "lib/pool/settler.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "lib/pool/side.hpp"
#include "lib/pool/stream_job.hpp"

namespace pinion::pool {

using detail::Outcome;
using detail::Side;

Side& Settler::side_of(LedgerEntry& entry) {
  if (entry.side == nullptr) entry.side = new Side;
  return *entry.side;
}

/// Fewer items are pending: written with the lock held, so no read-modify-write is needed.
void Settler::count_down(std::uint64_t items) noexcept {
  const std::uint64_t before = state_.pending.load(std::memory_order_relaxed);
  state_.pending.store(before - items, std::memory_order_relaxed);
  const std::uint64_t now = before - items;
  if (state_.room_wanted.load(std::memory_order_relaxed) &&
      (now == 0 || (before >= state_.options.max_pending && now < state_.options.max_pending))) {
    state_.room_wanted.store(false, std::memory_order_relaxed);
    state_.baton.tell(&state_.pending);
  }
}

/// Returns the word of its state as it was before.
std::uint32_t Settler::end(LedgerEntry& entry) noexcept {
  const std::uint32_t before = detail::set_ended(entry.state);
  PINION_ENSURE((before & detail::entry_done) == 0);
  if ((before & detail::entry_waited) != 0) state_.baton.tell(&entry);
  return before;
}

std::uint32_t Settler::end_and_tell(LedgerEntry& entry, Side& side) {
  const auto watches = std::exchange(side.watches, {});
  auto callbacks = std::exchange(side.callbacks, {});
  const std::uint32_t before = end(entry);
  for (const auto& watch : watches) state_.tell(watch);
  // After the entry is done: a callback finds it ready. Each holds a handle, so the entry lives.
  for (auto& callback : callbacks) state_.post_callback(std::move(callback));
  return before;
}

void Settler::finish(LedgerEntry& entry, bool failed) {
  count_down(1);
  ++(failed ? state_.counters.failed : state_.counters.completed);
  const std::uint32_t before =
      entry.side == nullptr ? end(entry) : end_and_tell(entry, *entry.side);
  if ((before & detail::entry_dropped) != 0) release(entry);
  if (!state_.accepting() && state_.pending.load(std::memory_order_relaxed) == 0) {
    state_.must_tell_service = true;  // the workers can leave
  }
}

void Settler::value_inline(LedgerEntry& entry, std::span<const std::byte> bytes) {
  std::memcpy(entry.data, bytes.data(), bytes.size());
  entry.bytes = static_cast<std::uint8_t>(bytes.size());
  entry.outcome = Outcome::value;
  finish(entry, false);
}

void Settler::value_copied(LedgerEntry& entry, std::span<const std::byte> bytes) {
  side_of(entry).owned.assign(bytes.begin(), bytes.end());
  entry.outcome = Outcome::value;
  finish(entry, false);
}

void Settler::value_kept(LedgerEntry& entry, Lane& lane, std::uint64_t offset,
                         std::uint64_t bytes) {
  Side& side = side_of(entry);
  side.segment = lane.segment;
  side.worker = lane.index;
  side.generation = lane.generation;
  side.offset = offset;
  side.bytes = bytes;
  lane.kept.push_back(&entry);
  entry.outcome = Outcome::value;
  finish(entry, false);
}

void Settler::remote_error(LedgerEntry& entry, std::span<const std::byte> bytes) {
  side_of(entry).owned.assign(bytes.begin(), bytes.end());
  entry.outcome = Outcome::remote_error;
  finish(entry, true);
}

void Settler::local_error(LedgerEntry& entry, std::exception_ptr error) {
  side_of(entry).error = std::move(error);
  entry.outcome = Outcome::local_error;
  finish(entry, true);
}

void Settler::count_items(MapState& map, std::uint32_t count, bool failed) {
  map.ended += count;
  PINION_ENSURE(map.ended <= map.job->items);
  // The map's own entry counts for one, when it ends.
  (failed ? state_.counters.failed : state_.counters.completed) += count;
  count_down(count);
  if (map.job->streams) state_.tell_consumers(static_cast<StreamJob&>(*map.job));
  if (failed && map.options.fail_fast && !map.stopping()) [[unlikely]] {
    map.failing = true;
    state_.take_back_due.store(true, std::memory_order_relaxed);
  }
}

void Settler::item_value(MapState& map, std::uint64_t item, std::span<const std::byte> bytes) {
  try {
    map.job->take_value(item, bytes);
  } catch (...) {
    items_local_error(map, item, 1, std::current_exception());
    return;
  }
  count_items(map, 1, false);
}

void Settler::item_values(MapState& map, std::uint64_t first, std::uint32_t count,
                          const std::byte* bytes) {
  map.job->take_values(first, count, bytes);
  count_items(map, count, false);
}

void Settler::item_remote_error(MapState& map, std::uint64_t item,
                                std::span<const std::byte> bytes) {
  if (map.options.retries != 0 && retry(map, item)) return;
  map.job->take_remote_error(item, bytes);
  count_items(map, 1, true);
}

void Settler::items_local_error(MapState& map, std::uint64_t first, std::uint32_t count,
                                const std::exception_ptr& error) {
  if (map.options.retries == 0) [[likely]] {
    map.job->take_error(first, count, error);
    count_items(map, count, true);
    return;
  }
  for (std::uint64_t item = first; item < first + count; ++item) {
    if (retry(map, item)) continue;
    map.job->take_error(item, 1, error);
    count_items(map, 1, true);
  }
}

/// An item that has failed goes out again, by itself. Where memory is short it has failed for good.
bool Settler::retry(MapState& map, std::uint64_t item) noexcept {
  if (map.stopping() || state_.stopped()) return false;
  try {
    unsigned& attempts = map.attempts[item];
    if (attempts >= map.options.retries) return false;
    map.taken_back.reserve(map.taken_back.size() + 1);
    state_.queue_of(map).reserve_one();
    ++attempts;
  } catch (const std::bad_alloc&) {
    return false;
  }
  ++state_.counters.retried;
  map.taken_back.push_back({item, 1});
  if (!std::exchange(map.listed, true)) {
    state_.put_back({nullptr, &map});
  }
  return true;
}

void Settler::items_stopped(MapState& map, std::uint64_t first, std::uint32_t count,
                            const std::exception_ptr& error) {
  map.job->take_stop(first, count, error);
  count_items(map, count, true);
}

void Settler::close_input(MapState& map) {
  if (!std::exchange(map.job->open, false)) return;
  --state_.open_streams;
  if (!state_.accepting()) state_.must_tell_service = true;  // the workers may be able to leave
}

bool Settler::finish_map(MapState& map) {
  if (map.ended < map.job->items || map.job->open) return false;
  LedgerEntry& entry = *map.entry;
  if (map.listed) state_.queue_of(map).remove([&](const Waiting& w) { return w.map == &map; });
  const bool failed = map.job->error_item != ~std::uint64_t{0} || map.job->ended_error != nullptr;
  const auto it = std::find_if(state_.maps.begin(), state_.maps.end(),
                               [&](const auto& m) { return m.get() == &map; });
  PINION_ENSURE(it != state_.maps.end());
  std::swap(*it, state_.maps.back());
  state_.maps.pop_back();
  entry.outcome = Outcome::mapped;
  // Its items are counted already.
  state_.pending.store(state_.pending.load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
  --(failed ? state_.counters.failed : state_.counters.completed);
  finish(entry, failed);
  return true;
}

bool Settler::copy_out(LedgerEntry& entry) {
  Side& side = *entry.side;
  if (side.segment == nullptr) return true;
  if (side.readers != 0) return false;
  const std::byte* from = side.segment->begin() + side.offset;
  side.owned.assign(from, from + side.bytes);
  Lane& lane = *state_.lanes[side.worker];
  if (lane.generation == side.generation) lane.give_backs.push_back(side.offset);
  side.segment.reset();
  return true;
}

Side* Settler::detach(LedgerEntry& entry) noexcept {
  Side* const side = entry.side;
  entry.side = nullptr;
  if (side == nullptr || side->segment == nullptr) return side;
  Lane& lane = *state_.lanes[side->worker];
  if (lane.generation == side->generation && lane.alive()) {
    lane.give_backs.push_back(side->offset);
    std::erase(lane.kept, &entry);
  }
  return side;
}

void Settler::release(LedgerEntry& entry) {
  if (Side* const side = detach(entry)) {
    side->next_dead = state_.dead_sides;
    state_.dead_sides = side;
  }
  Ledger::give(entry);
}

}  // namespace pinion::pool
