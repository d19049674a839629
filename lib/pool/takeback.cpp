#include "lib/pool/takeback.hpp"

#include <pinion/errors.hpp>

#include <algorithm>
#include <utility>

#include "lib/os/clock.hpp"
#include "lib/pool/side.hpp"
#include "lib/ring/revoke.hpp"

namespace pinion::pool {

namespace {

/// A worker is stuck when it has not answered for so long with tasks behind the one that runs.
constexpr std::int64_t stuck_ns = 50'000;

/// From item `free` on nothing of it is its worker's any more. With no item left only its answer is
/// missing, and its map may have ended when that comes.
void shorten(Flight& flight, std::uint32_t free) noexcept {
  flight.assigned = free;
  if (free != 0) return;
  flight.map = nullptr;
  flight.revoked = true;
}

/// How much of a worker's work can be taken back: unstarted tasks, which count more than what is
/// left of a chunk that runs. What was taken back already is still in flight, and is not counted.
std::uint64_t movable(const Lane& lane) noexcept {
  constexpr std::uint64_t task = std::uint64_t{1} << 32;
  const ring::WorkerLine& line = lane.worker_line();
  const std::uint64_t claimed = line.claimed.load(std::memory_order_acquire);
  const std::uint64_t chunk = line.chunk.load(std::memory_order_acquire);
  std::uint64_t amount = 0;
  for (const Flight& flight : lane.flights) {
    if (!flight.used() || flight.revoked || flight.bound) continue;
    if (flight.position >= claimed) {
      amount += task;
    } else if (flight.map != nullptr && chunk == flight.position + 1 &&
               (flight.flags & ring::task_is_coroutine) == 0) {
      const std::uint32_t started =
          ring::items_started(line.progress.load(std::memory_order_acquire));
      if (started < flight.assigned) amount += flight.assigned - started;
    }
  }
  return amount;
}

}  // namespace

std::vector<std::uint16_t> TakeBack::revoke(Lane& lane, const std::vector<std::uint16_t>& flights) {
  std::vector<std::uint16_t> unstarted;
  unstarted.reserve(flights.size());  // nothing throws once they are taken back
  ring::Revocation revocation(*lane.line);
  for (const std::uint16_t number : flights) {
    revocation.add(lane.verdicts[number], lane.flights[number].position);
  }
  const std::uint64_t claimed = revocation.publish(lane.worker_line(), lane.fencing);
  // A witness outside what was given to it proves nothing: then all count as started.
  if (claimed > lane.tasks.position()) return unstarted;
  for (const std::uint16_t number : flights) {
    Flight& flight = lane.flights[number];
    if (flight.position < claimed) continue;  // it runs, or has ended
    flight.revoked = true;
    unstarted.push_back(number);
    ++state_.counters.taken_back;
  }
  return unstarted;
}

std::uint32_t TakeBack::cut(Lane& lane, std::uint16_t number, std::uint32_t first) {
  const Flight& flight = lane.flights[number];
  const bool coroutine = (flight.flags & ring::task_is_coroutine) != 0;
  return ring::cut(lane.verdicts[number], lane.worker_line(),
                   {flight.position, flight.assigned, coroutine}, first, lane.fencing);
}

void TakeBack::ask_to_stop(Lane& lane, std::uint16_t number) {
  Flight& flight = lane.flights[number];
  if (std::exchange(flight.stopping, true)) return;
  lane.verdicts[number].stop.store(flight.position + 1, std::memory_order_release);
  if ((flight.flags & ring::task_is_coroutine) == 0) return;
  ring::TaskMessage message{};
  message.flight = ring::no_flight;
  message.kind = ring::TaskKind::cancel;
  message.payload.words[0] = flight.position + 1;
  dispatcher_.control(lane, message);
}

bool TakeBack::cancel(LedgerEntry& entry, const std::exception_ptr& error) {
  if (entry.done()) return false;
  if (entry.side != nullptr && entry.side->job != nullptr) {
    for (const auto& map : state_.maps) {
      if (map->entry == &entry) return cancel_map(*map, error);
    }
    return false;
  }
  return cancel_single(entry, error);
}

bool TakeBack::cancel_single(LedgerEntry& entry, const std::exception_ptr& error) {
  Settler::side_of(entry);  // nothing throws once it is taken back
  if (state_.queue_of(entry).remove([&](const Waiting& w) { return w.entry == &entry; })) {
    dispatcher_.end_waiting(entry, error);
    return true;
  }
  for (const auto& lane : state_.lanes) {
    for (std::uint16_t i = 0; lane->in_flight() != 0 && i < lane->flights.size(); ++i) {
      if (lane->flights[i].entry != &entry) continue;
      if (!revoke(*lane, {i}).empty()) {
        lane->flights[i].entry = nullptr;
        settler_.local_error(entry, error);
        return true;
      }
      ask_to_stop(*lane, i);
      return false;
    }
  }
  return false;
}

bool TakeBack::cancel_map(MapState& map, const std::exception_ptr& error) {
  map.stop_error = error;
  settler_.close_input(map);
  // First what is with nobody: for that no memory is needed.
  for (const ItemRange& range : map.taken_back) {
    settler_.items_stopped(map, range.first, range.count, error);
  }
  map.taken_back.clear();
  for (std::uint64_t left = map.job->items - map.next; left != 0;) {
    const auto n = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, 1U << 30));
    settler_.items_stopped(map, map.next, n, error);
    map.next += n;
    left -= n;
  }
  bool runs = false;
  for (const auto& lane : state_.lanes) {
    if (lane->in_flight() == 0) continue;
    std::vector<std::uint16_t> mine;
    for (std::uint16_t i = 0; i < lane->flights.size(); ++i) {
      if (lane->flights[i].map == &map) mine.push_back(i);
    }
    if (mine.empty()) continue;
    for (const std::uint16_t i : revoke(*lane, mine)) {
      Flight& flight = lane->flights[i];
      flight.map = nullptr;
      settler_.items_stopped(map, flight.first, flight.assigned, error);
    }
    for (const std::uint16_t i : mine) {
      Flight& flight = lane->flights[i];
      if (flight.revoked) continue;
      ask_to_stop(*lane, i);
      const std::uint32_t free = flight.count > 1 ? cut(*lane, i, 0) : flight.assigned;
      settler_.items_stopped(map, flight.first + free, flight.assigned - free, error);
      shorten(flight, free);
      runs = runs || free != 0;
    }
  }
  settler_.finish_map(map);
  return !runs;
}

void TakeBack::take_back_due() {
  for (std::size_t i = state_.maps.size(); i-- > 0;) {  // one that ends is replaced by the last
    MapState& map = *state_.maps[i];
    if (!map.failing || map.stopping()) continue;
    cancel_map(map, std::make_exception_ptr(Cancelled(
                        "the item was cancelled, because another one of its map had failed "
                        "(TaskOptions::fail_fast)")));
  }
  for (const auto& lane : state_.lanes) {
    if (lane->retiring && lane->takes_tasks() && lane->in_flight() != 0) take_all_back(*lane);
  }
  state_.take_back_due.store(false, std::memory_order_relaxed);
  dispatcher_.feed();
}

/// What it has not started goes to others. It is given nothing more.
void TakeBack::take_all_back(Lane& lane) {
  std::vector<std::uint16_t> flights;
  const std::uint64_t claimed = lane.worker_line().claimed.load(std::memory_order_acquire);
  for (std::uint16_t i = 0; i < lane.flights.size(); ++i) {
    const Flight& flight = lane.flights[i];
    if (flight.used() && !flight.revoked && flight.position >= claimed) flights.push_back(i);
  }
  take_back(lane, flights);
}

/// Those of them that it has not started wait again, in their order.
void TakeBack::take_back(Lane& lane, const std::vector<std::uint16_t>& flights) {
  dispatcher_.reserve_requeue(lane, flights);
  auto taken = revoke(lane, flights);
  std::sort(taken.begin(), taken.end(), [&](std::uint16_t a, std::uint16_t b) {
    return lane.flights[a].position > lane.flights[b].position;
  });
  for (const std::uint16_t i : taken) dispatcher_.requeue(lane, i);
}

void TakeBack::stop_everything() {
  const std::exception_ptr error = state_.stop_error();
  while (!state_.maps.empty()) {
    const auto running = std::find_if(state_.maps.begin(), state_.maps.end(),
                                      [](const auto& map) { return !map->stopping(); });
    if (running == state_.maps.end()) break;
    cancel_map(**running, error);
  }
  end_waiting(state_.backlog, error);
  for (const auto& lane : state_.lanes) end_waiting(lane->bound, error);
  for (const auto& lane : state_.lanes) {
    std::vector<std::uint16_t> singles;
    for (std::uint16_t i = 0; lane->in_flight() != 0 && i < lane->flights.size(); ++i) {
      if (lane->flights[i].entry != nullptr) singles.push_back(i);
    }
    if (singles.empty()) continue;
    for (const std::uint16_t i : singles) Settler::side_of(*lane->flights[i].entry);
    for (const std::uint16_t i : revoke(*lane, singles)) {
      settler_.local_error(*std::exchange(lane->flights[i].entry, nullptr), error);
    }
  }
  state_.bound_waiting = false;
  state_.backlogged.store(false, std::memory_order_relaxed);
}

void TakeBack::end_waiting(Backlog& queue, const std::exception_ptr& error) {
  while (!queue.empty()) {
    const Waiting waiting = queue.front();
    if (waiting.entry != nullptr) Settler::side_of(*waiting.entry);
    queue.pop_front();
    if (waiting.entry != nullptr) {
      dispatcher_.end_waiting(*waiting.entry, error);
    } else {
      waiting.map->listed = false;
    }
  }
}

bool TakeBack::balance() {
  const bool waiting =
      state_.controls_waiting.load(std::memory_order_relaxed) && dispatcher_.flush_all_controls();
  return move_work() || waiting;
}

bool TakeBack::move_work() {
  if (state_.stopped()) return false;
  if (!state_.backlog.empty() || state_.idle_lanes.next(0) < 0) return false;
  Lane* busiest = nullptr;
  std::uint64_t most = 0;
  for (const auto& lane : state_.lanes) {
    if (!lane->takes_tasks() || lane->in_flight() == 0) continue;
    const std::uint64_t amount = movable(*lane);
    if (amount <= most) continue;
    most = amount;
    busiest = lane.get();
  }
  if (busiest == nullptr) return false;
  const std::int64_t now = os::now_ns();
  if (busiest->progress_ns == 0) busiest->progress_ns = now;  // it counts from this look
  if (now - busiest->progress_ns < stuck_ns) return true;
  move_half(*busiest);
  return true;
}

void TakeBack::move_half(Lane& from) {
  std::vector<std::uint16_t> flights;
  std::uint16_t running = ring::no_flight;
  for (std::uint16_t i = 0; i < from.flights.size(); ++i) {
    const Flight& flight = from.flights[i];
    if (!flight.used() || flight.revoked || flight.bound) continue;
    flights.push_back(i);
  }
  std::sort(flights.begin(), flights.end(), [&](std::uint16_t a, std::uint16_t b) {
    return from.flights[a].position < from.flights[b].position;
  });
  if (!flights.empty()) running = flights.front();
  const std::uint64_t claimed = from.worker_line().claimed.load(std::memory_order_acquire);
  std::erase_if(flights, [&](std::uint16_t i) { return from.flights[i].position < claimed; });
  if (!flights.empty()) {
    flights.erase(flights.begin(),
                  flights.begin() + static_cast<std::ptrdiff_t>(flights.size() / 2));
    take_back(from, flights);
  } else if (running != ring::no_flight && from.flights[running].map != nullptr) {
    Flight& flight = from.flights[running];
    const ring::WorkerLine& line = from.worker_line();
    if ((flight.flags & ring::task_is_coroutine) != 0 ||
        line.chunk.load(std::memory_order_acquire) != flight.position + 1) {
      return;
    }
    const std::uint32_t started =
        ring::items_started(line.progress.load(std::memory_order_acquire));
    if (started >= flight.assigned) return;
    const std::uint32_t half = started + (flight.assigned - started) / 2;
    dispatcher_.reserve_requeue(from, {&running, 1});
    const std::uint32_t free = cut(from, running, half);
    if (free >= flight.assigned) return;
    MapState& map = *flight.map;
    dispatcher_.give_back(map, {flight.first + free, flight.assigned - free});
    shorten(flight, free);
    ++state_.counters.taken_back;
  }
  from.progress_ns = os::now_ns();
  dispatcher_.feed();
}

}  // namespace pinion::pool
