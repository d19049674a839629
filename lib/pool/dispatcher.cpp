#include "lib/pool/dispatcher.hpp"

#include <pinion/errors.hpp>

#include <algorithm>
#include <cstring>

#include "lib/os/clock.hpp"
#include "lib/os/cpu.hpp"
#include "lib/pool/side.hpp"
#include "lib/pool/task_errors.hpp"

namespace pinion::pool {

using detail::Side;

namespace {

constexpr std::uint64_t token_mask = (std::uint64_t{1} << 48) - 1;

void set_code(ring::TaskMessage& message, std::uint64_t code, std::uint8_t flags) noexcept {
  const auto token = start::CodeToken::unpack(code & token_mask);
  message.kind = ring::TaskKind::run;
  message.flags = flags;
  message.attempt = 0;
  message.module = token.module;
  message.code_offset = token.offset;
}

std::uint8_t shown_attempt(unsigned attempts) noexcept {
  return static_cast<std::uint8_t>(std::min(attempts, 255U));
}

}  // namespace

void Dispatcher::update(Lane& lane) noexcept {
  state_.idle_lanes.set(lane.index, lane.takes_tasks() && lane.in_flight() == 0);
  state_.open_lanes.set(lane.index, lane.takes_tasks() && lane.has_room());
}

std::uint32_t Dispatcher::depth_min(bool coroutine) const noexcept {
  return coroutine ? std::min<std::uint32_t>(state_.options.child_concurrency + 2,
                                             state_.capacity.flights)
                   : 2;
}

/// Of those with room: one after the other, or as the user's scheduler says.
Lane* Dispatcher::choose_open() {
  const int first = state_.open_lanes.next(next_lane_);
  if (first < 0) return nullptr;
  auto index = static_cast<unsigned>(first);
  if (state_.options.scheduler.kind() == Scheduler::Kind::own) {
    loads_.clear();
    for (const auto& lane : state_.lanes) {
      if (!lane->takes_tasks() || !lane->has_room()) continue;
      loads_.push_back(
          {lane->index, lane->in_flight(), std::uint64_t{lane->in_flight()} * lane->task_ns});
    }
    const unsigned chosen = state_.options.scheduler.choose(loads_);
    index = loads_[chosen % loads_.size()].worker;
  }
  next_lane_ = (index + 1) % state_.workers;
  return state_.lanes[index].get();
}

/// An idle worker, on another core than this thread's where there is one; else one with room.
Lane* Dispatcher::choose() {
  if (state_.options.scheduler.kind() != Scheduler::Kind::least_loaded) [[unlikely]]
    return choose_open();
  int index = state_.idle_lanes.next(0);
  if (index >= 0) {
    Lane* lane = state_.lanes[static_cast<std::size_t>(index)].get();
    if (lane->only_cpu >= 0 && lane->only_cpu == os::current_cpu()) {
      const int other = state_.idle_lanes.next(lane->index + 1);
      if (other >= 0) lane = state_.lanes[static_cast<std::size_t>(other)].get();
    }
    return lane;
  }
  return choose_open();
}

void Dispatcher::push(Lane& lane, ring::TaskMessage& message, LedgerEntry* entry, MapState* map) {
  const std::uint16_t number = lane.free_flights.back();
  lane.free_flights.pop_back();
  message.flight = number;
  Flight& flight = lane.flights[number];
  flight.position = lane.tasks.position();
  flight.entry = entry;
  flight.map = map;
  flight.first = message.first;
  flight.count = flight.assigned = message.count;
  flight.flags = message.flags;
  flight.revoked = flight.stopping = flight.overdue = false;
  const TaskOptions* const asked = map != nullptr           ? &map->options
                                   : entry->side != nullptr ? &entry->side->options
                                                            : nullptr;
  flight.bound = asked != nullptr && asked->worker.has_value();
  flight.code = start::CodeToken{message.module, message.code_offset}.packed();
  flight.inline_bytes = message.inline_bytes;
  flight.payload = message.payload;
  if ((message.flags & ring::task_is_timed) != 0) [[unlikely]] {
    const TaskOptions& options = map != nullptr ? map->options : entry->side->options;
    lane.verdicts[number].timeout_ns.store(static_cast<std::uint64_t>(options.timeout.ns()),
                                           std::memory_order_relaxed);
    flight.dispatched_ns = os::now_ns();
    ++lane.timed;
    state_.watch_timed(os::add_ns(flight.dispatched_ns, options.timeout.ns()));
  }
  lane.quota -= message.count;
  const std::uint32_t in_flight = lane.in_flight() + 1;
  lane.set_in_flight(in_flight);
  lane.tasks.push(message);
  state_.must_ring(lane, false);
  if (in_flight == 1 || in_flight >= lane.depth || lane.free_flights.empty() || lane.quota == 0) {
    update(lane);
  }
}

void Dispatcher::submit(LedgerEntry& entry, std::uint64_t code, std::uint8_t flags,
                        std::span<const std::byte> arguments) {
  const bool bound = entry.side != nullptr && entry.side->options.worker;
  Lane* lane = !bound && state_.backlog.empty() ? choose() : nullptr;
  if (lane == nullptr) [[unlikely]] {
    std::memcpy(entry.data, arguments.data(), arguments.size());
    entry.bytes = static_cast<std::uint8_t>(arguments.size());
    entry.code = code | std::uint64_t{flags} << code_flags_shift;
    state_.enqueue({&entry, nullptr});
    state_.backlogged.store(true, std::memory_order_relaxed);
    if (bound) feed_if_possible();
    return;
  }
  ring::TaskMessage message;
  set_code(message, code, flags | ring::payload_is_inline);
  message.count = 1;
  message.first = 0;
  message.inline_bytes = static_cast<std::uint8_t>(arguments.size());
  message.payload = {};
  std::memcpy(message.payload.inline_bytes, arguments.data(), arguments.size());
  if ((flags & ring::task_is_coroutine) != 0) {
    lane->depth = std::max(lane->depth, depth_min(true));
  }
  push(*lane, message, &entry, nullptr);
}

std::optional<std::uint64_t> Dispatcher::reserve(std::uint64_t bytes) {
  if (!state_.backlog.empty() || state_.open_lanes.next(0) < 0) return std::nullopt;
  const auto offset = state_.arena.take_arguments(bytes);
  if (offset) ++reserved_;
  return offset;
}

void Dispatcher::unreserve(std::uint64_t offset, std::uint64_t bytes) noexcept {
  --reserved_;
  state_.arena.give_arguments(offset, bytes);
  feed_if_possible();
  state_.bell.ring(true);  // it may have ended what the one who collects waits for
}

void Dispatcher::submit(LedgerEntry& entry, std::uint64_t code, std::uint8_t flags,
                        ring::BlockRef arguments) {
  entry.code = code | std::uint64_t{flags} << code_flags_shift | code_in_arena;
  std::memcpy(entry.data, &arguments, sizeof arguments);
  --reserved_;
  state_.enqueue({&entry, nullptr});
  feed_if_possible();
}

void Dispatcher::submit(LedgerEntry& entry, std::uint64_t code, std::uint8_t flags,
                        std::vector<std::byte> arguments) {
  if (!state_.arena.could_hold(arguments.size())) {
    settler_.local_error(entry, arena_shortage(state_.arena, arguments.size()));
    return;
  }
  entry.code = code | std::uint64_t{flags} << code_flags_shift;
  Settler::side_of(entry).arguments = std::move(arguments);
  state_.enqueue({&entry, nullptr});
  feed_if_possible();
}

void Dispatcher::submit(MapState& map) {
  if (!std::exchange(map.listed, true)) state_.enqueue({nullptr, &map});
  feed_if_possible();
}

/// The message of an entry that waits. False where its arguments find no room now.
bool Dispatcher::pack(LedgerEntry& entry, ring::TaskMessage& message) {
  set_code(message, entry.code, static_cast<std::uint8_t>(entry.code >> code_flags_shift));
  message.count = 1;
  message.first = 0;
  if (entry.side != nullptr) message.attempt = shown_attempt(entry.side->attempts);
  message.inline_bytes = 0;
  message.payload = {};
  if ((entry.code & code_in_arena) != 0) {
    std::memcpy(&message.payload.block, entry.data, sizeof message.payload.block);
    return true;
  }
  if (entry.side == nullptr || entry.side->arguments.empty()) {
    message.flags |= ring::payload_is_inline;
    message.inline_bytes = entry.bytes;
    std::memcpy(message.payload.inline_bytes, entry.data, entry.bytes);
    entry.bytes = 0;
    return true;
  }
  std::vector<std::byte>& bytes = entry.side->arguments;
  const auto offset = state_.arena.take_arguments(bytes.size());
  if (!offset) return false;
  std::memcpy(state_.arena.at(*offset), bytes.data(), bytes.size());
  message.payload.block = {*offset, bytes.size()};
  std::vector<std::byte>().swap(bytes);
  return true;
}

bool Dispatcher::send(Lane& lane, LedgerEntry& entry) {
  ring::TaskMessage message;
  if (!pack(entry, message)) return false;
  if ((message.flags & ring::task_is_coroutine) != 0) {
    lane.depth = std::max(lane.depth, depth_min(true));
  }
  push(lane, message, &entry, nullptr);
  return true;
}

/// An item of the range does not encode. Halves find which; the others go out.
void Dispatcher::not_encoded(MapState& map, ItemRange range, const std::exception_ptr& error) {
  if (range.count == 1) {
    settler_.items_local_error(map, range.first, 1, error);
    return;
  }
  const std::uint32_t half = range.count / 2;
  map.taken_back.push_back({range.first + half, range.count - half});
  map.taken_back.push_back({range.first, half});
}

bool Dispatcher::send_chunk(Lane& lane, MapState& map) {
  // Two more than there are: `not_encoded` makes two of one, and what fails goes back.
  map.taken_back.reserve(map.taken_back.size() + 2);
  const auto items = std::min<std::uint64_t>(map.chunk_items(state_.workers), lane.quota);
  const ItemRange range = map.take(static_cast<std::uint32_t>(items));
  try {
    return send_range(lane, map, range);
  } catch (...) {  // memory is short
    map.taken_back.push_back(range);
    throw;
  }
}

bool Dispatcher::send_range(Lane& lane, MapState& map, ItemRange range) {
  std::uint8_t flags = 0;
  if (map.timed) flags |= ring::task_is_timed;
  if (map.job->coroutine) flags |= ring::task_is_coroutine;
  if (map.options.fail_fast) flags |= ring::task_stops_at_error;
  if (map.cost_ns != 0 && map.cost_ns < short_item_ns) flags |= ring::task_has_short_items;
  ring::TaskMessage message;
  set_code(message, map.code, flags);
  message.count = range.count;
  message.first = range.first;
  if (range.count == 1 && !map.attempts.empty()) {
    const auto found = map.attempts.find(range.first);
    if (found != map.attempts.end()) message.attempt = shown_attempt(found->second);
  }
  message.inline_bytes = 0;
  message.payload = {};
  std::size_t bytes = 0;
  try {
    bytes = map.job->chunk_bytes(range.first, range.count);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (...) {
    not_encoded(map, range, std::current_exception());
    return true;
  }
  std::byte* at = message.payload.inline_bytes;
  if (bytes <= ring::inline_bytes_max) {
    message.flags |= ring::payload_is_inline;
    message.inline_bytes = static_cast<std::uint8_t>(bytes);
  } else {
    const auto offset = state_.arena.take_arguments(bytes);
    if (!offset) {
      map.taken_back.push_back(range);
      if (range.count == 1 && !state_.arena.could_hold(bytes)) {
        map.taken_back.pop_back();
        settler_.items_local_error(map, range.first, 1, arena_shortage(state_.arena, bytes));
        return true;
      }
      map.shrink_chunks(range.count);
      return false;
    }
    message.payload.block = {*offset, bytes};
    at = state_.arena.at(*offset);
  }
  detail::Writer writer(at, at + bytes, state_.code);
  try {
    map.job->write_chunk(range.first, range.count, writer);
  } catch (...) {
    if (bytes > ring::inline_bytes_max) {
      state_.arena.give_arguments(message.payload.block.offset, bytes);
    }
    // Not told from an item's own: only the item can be asked again, alone.
    not_encoded(map, range, std::current_exception());
    return true;
  }
  lane.depth = std::max(lane.depth, depth_min(map.job->coroutine));
  push(lane, message, nullptr, &map);
  return true;
}

void Dispatcher::free_flight(Lane& lane, std::uint16_t number) {
  Flight& flight = lane.flights[number];
  if ((flight.flags & ring::payload_is_inline) == 0 && !flight.arguments_moved) {
    state_.arena.give_arguments(flight.payload.block.offset, flight.payload.block.bytes);
  }
  if ((flight.flags & ring::task_is_timed) != 0) --lane.timed;
  flight.arguments_moved = flight.revoked = false;
  flight.entry = nullptr;
  flight.map = nullptr;
  lane.free_flights.push_back(number);
  const std::uint32_t left = lane.in_flight() - 1;
  lane.set_in_flight(left);
  if (left == 0 || left + 1 >= lane.depth) update(lane);
}

void Dispatcher::refund(Lane& lane, std::uint32_t items) noexcept {
  if (items == 0) return;
  lane.quota += items;
  update(lane);
}

void Dispatcher::retire_if_due(Lane& lane) {
  if (lane.quota != 0 && !lane.retiring) [[likely]]
    return;
  if (!lane.takes_tasks() || lane.in_flight() != 0) return;
  lane.retired = true;
  let_go(lane);
}

void Dispatcher::let_go(Lane& lane) {
  ring::TaskMessage message{};
  message.flight = ring::no_flight;
  message.kind = ring::TaskKind::leave;
  control(lane, message);
  lane.state = Lane::State::leaving;
  const TimeLimit& limit = state_.options.start_limit;
  lane.start_deadline_ns = limit.limited() ? os::deadline_ns(limit.ns()) : os::never_ns;
  state_.must_tell_service = true;
  update(lane);
}

}  // namespace pinion::pool
