#include "lib/pool/burial.hpp"

#include <poll.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <new>

#include "lib/pool/chunk_outcomes.hpp"
#include "lib/pool/side.hpp"
#include "lib/pool/task_errors.hpp"
#include "lib/ring/revoke.hpp"

namespace pinion::pool {

std::exception_ptr Burial::loss(const Lane& lane, const Flight& flight, ExitStatus status,
                                std::uint64_t item) const {
  if (flight.overdue) {
    const TaskOptions& options =
        flight.map != nullptr ? flight.map->options : flight.entry->side->options;
    return timeout_error(TaskName::of(flight, item), options, lane, TimedOut::killed);
  }
  if (state_.stopped()) return state_.stop_error();
  WorkerLost::Details details;
  details.worker = lane.index;
  details.pid = lane.pid;
  details.status = status;
  details.phase = WorkerLost::Phase::started;
  if (lane.abandoned && lane.local == nullptr) {
    details.cause = WorkerLost::Cause::abandoned;
    details.culprit = lane.culprit;
  } else if (lane.breach) {
    details.cause = WorkerLost::Cause::protocol_breach;
    details.culprit = lane.culprit;
  } else if (!lane.culprit.empty()) {
    details.cause = WorkerLost::Cause::killed_with_culprit;
    details.culprit = lane.culprit;
  }
  const TaskName task = TaskName::of(flight, item);
  details.task = task.number;
  details.item = task.item;
  if (status == ExitStatus::signaled(SIGKILL)) details.hint = lane.oom_text;
  return std::make_exception_ptr(WorkerLost(std::move(details)));
}

namespace {

/// A worker that has been reaped is buried once, so what that takes of memory is waited for.
template <class F>
auto with_memory(F f) {
  for (;;) {
    try {
      return f();
    } catch (const std::bad_alloc&) {
      ::poll(nullptr, 0, 1);
    }
  }
}

/// A thread that was left behind.
bool runs_on(const Lane& lane) noexcept { return lane.abandoned && lane.local != nullptr; }

/// Of what runs in a thread that is abandoned, nothing more starts. Else it could not be told what
/// had.
void stop_chunks(Lane& lane) noexcept {
  for (std::uint16_t i = 0; i < lane.flights.size(); ++i) {
    const Flight& flight = lane.flights[i];
    if (flight.map == nullptr || flight.count == 1) continue;
    const bool coroutine = (flight.flags & ring::task_is_coroutine) != 0;
    ring::cut(lane.verdicts[i], lane.worker_line(), {flight.position, flight.assigned, coroutine},
              0, lane.fencing);
  }
}

}  // namespace

/// What it had, the last first: each goes back to the front. They can be requeued without memory.
std::vector<std::uint16_t> Burial::flights_of(const Lane& lane) {
  std::vector<std::uint16_t> flights;
  for (std::uint16_t i = 0; lane.in_flight() != 0 && i < lane.flights.size(); ++i) {
    if (lane.flights[i].used()) flights.push_back(i);
  }
  std::sort(flights.begin(), flights.end(), [&](std::uint16_t a, std::uint16_t b) {
    return lane.flights[a].position > lane.flights[b].position;
  });
  dispatcher_.reserve_requeue(lane, flights);
  return flights;
}

/// A thread that was abandoned may still read them: they go to nobody until it has ended.
void Burial::hold_arguments(Lane& lane, std::uint16_t number) {
  Flight& flight = lane.flights[number];
  if ((flight.flags & ring::payload_is_inline) != 0 || flight.arguments_moved) return;
  flight.arguments_moved = true;
  lane.held.push_back(flight.payload.block);
  state_.held_arguments += shm::Space::rounded(flight.payload.block.bytes);
}

/// For an attempt elsewhere, while a thread may still read the ones that it was given.
bool Burial::copy_arguments(Flight& flight) {
  if (!flight.arguments_moved) return true;  // they lie in the flight itself
  const auto bytes = flight.payload.block.bytes;
  const auto offset = state_.arena.take_arguments(bytes);
  if (!offset) return false;
  std::memcpy(state_.arena.at(*offset), state_.arena.at(flight.payload.block.offset), bytes);
  flight.payload.block.offset = *offset;
  flight.arguments_moved = false;
  return true;
}

void Burial::bury(Lane& lane, ExitStatus status) {
  if (runs_on(lane)) stop_chunks(lane);
  with_memory([&] { collector_.drain(lane); });
  const std::uint64_t next = lane.tasks.position();
  std::uint64_t claimed = lane.worker_line().claimed.load(std::memory_order_acquire);
  // One that was never ready has taken none up. Else a witness before its birth or beyond what was
  // given proves nothing: then all count as started, or a liar's task would go round for ever.
  if (!lane.was_ready) {
    claimed = lane.birth_position;
  } else if (claimed < lane.birth_position || claimed > next) {
    claimed = next;
  }
  const auto flights = with_memory([&] { return flights_of(lane); });
  lane.state = Lane::State::none;
  if (runs_on(lane)) {
    with_memory([&] { lane.held.reserve(flights.size()); });
  }
  for (const std::uint16_t i : flights) {
    if (runs_on(lane) && lane.flights[i].position < claimed) hold_arguments(lane, i);
    settle(lane, i, claimed, status);
    dispatcher_.free_flight(lane, i);
  }
  drop_segment(lane);
  dispatcher_.update(lane);
  dispatcher_.feed_if_possible();
}

void Burial::settle(Lane& lane, std::uint16_t number, std::uint64_t claimed, ExitStatus status) {
  Flight& flight = lane.flights[number];
  if (flight.revoked) return;  // it was ended, or is elsewhere, already
  const std::uint64_t stamp = lane.worker_flight(number).started_ns.load(std::memory_order_acquire);
  // It was killed for an item that has ended meanwhile: the one that ran is not to blame.
  if (static_cast<std::int64_t>(stamp) != flight.overdue_stamp) flight.overdue = false;
  MapState* const map = flight.map;
  if (flight.position >= claimed && !state_.one_life) {
    dispatcher_.requeue(lane, number);
  } else if (map == nullptr) {
    const bool possible =
        !runs_on(lane) || !dispatcher_.may_retry(flight) || copy_arguments(flight);
    if (!possible || !dispatcher_.retry(lane, number)) {
      settler_.local_error(*flight.entry, loss(lane, flight, status, 0));
    }
  } else if (flight.count == 1) {
    settler_.items_local_error(*map, flight.first, 1, loss(lane, flight, status, flight.first));
  } else if ((flight.flags & ring::task_is_coroutine) != 0) {
    settle_coroutines(lane, number, status);
  } else {
    settle_chunk(lane, number, status);
  }
  if (map != nullptr) settler_.finish_map(*map);
}

void Burial::settle_chunk(Lane& lane, std::uint16_t number, ExitStatus status) {
  Flight& flight = lane.flights[number];
  MapState& map = *flight.map;
  const ring::WorkerLine& line = lane.worker_line();
  std::uint32_t done = 0;
  std::uint32_t started = 0;
  if (line.chunk.load(std::memory_order_acquire) == flight.position + 1) {
    const std::uint64_t progress = line.progress.load(std::memory_order_acquire);
    done = std::min(ring::items_done(progress), flight.assigned);
    started = std::clamp(ring::items_started(progress), done, flight.assigned);
    const std::uint64_t block = line.block.load(std::memory_order_acquire);
    if (done != 0 && !collector_.settle_items(lane, flight, block, done, false)) {
      ++state_.counters.protocol_breaches;
      settler_.items_local_error(map, flight.first, done, loss(lane, flight, status, flight.first));
    }
  }
  // It died with this chunk in hand: one item is lost, or a chunk that kills workers before its
  // first item would go round for ever.
  if (started == done && started < flight.assigned) ++started;
  if (started > done) {
    settler_.items_local_error(map, flight.first + done, started - done,
                               loss(lane, flight, status, flight.first + done));
  }
  dispatcher_.give_back(map, {flight.first + started, flight.assigned - started});
}

void Burial::settle_coroutines(Lane& lane, std::uint16_t number, ExitStatus status) {
  Flight& flight = lane.flights[number];
  MapState& map = *flight.map;
  const shm::WorkerFlight& theirs = lane.worker_flight(number);
  const bool begun = theirs.chunk.load(std::memory_order_acquire) == flight.position + 1;
  const std::uint64_t block = theirs.block.load(std::memory_order_acquire);
  const auto outcomes =
      begun ? ChunkOutcomes::read(lane, block, flight.count, map.job->result_stride, true)
            : std::nullopt;
  if (!outcomes) {
    settler_.items_local_error(map, flight.first, 1, loss(lane, flight, status, flight.first));
    dispatcher_.give_back(map, {flight.first + 1, flight.assigned - 1});
    return;
  }
  for (std::uint32_t i = 0; i < flight.assigned; ++i) {
    switch (outcomes->mark(i)) {
      case shm::item_ended:
        collector_.settle_item(lane, map, flight.first + i, *outcomes, i);
        break;
      case shm::item_started:  // they start in order: the first is the oldest, which was overdue
        settler_.items_local_error(map, flight.first + i, 1,
                                   loss(lane, flight, status, flight.first + i));
        flight.overdue = false;
        break;
      case shm::item_unstarted:
        dispatcher_.give_back(map, {flight.first + i, 1});
        break;
    }
  }
}

void Burial::drop_segment(Lane& lane) {
  for (LedgerEntry* entry : lane.kept) settler_.copy_out(*entry);
  lane.kept.clear();
  state_.counters.handler_errors += lane.note().handler_errors.load(std::memory_order_acquire);
  lane.past_stalls = lane.stalls();
  state_.arena.forget(*lane.segment);
  state_.arena.arrays()->forget(lane.index);
  if (ring::built_mutant == ring::Mutant::segment_reused) return lane.pidfd.reset();
  lane.segment.reset();  // late I/O, grandchildren and stray pointers reach orphaned pages only
  if (lane.local != nullptr && lane.abandoned) {
    state_.seats[lane.seat].position = lane.tasks.position();
  } else if (lane.local != nullptr) {
    lane.line->revoked_end.store(0, std::memory_order_relaxed);
  }
  lane.local.reset();
  lane.pidfd.reset();
}

}  // namespace pinion::pool
