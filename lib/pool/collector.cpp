#include "lib/pool/collector.hpp"

#include <pinion/errors.hpp>

#include <algorithm>
#include <csignal>
#include <utility>

#include "lib/os/clock.hpp"
#include "lib/os/pidfd.hpp"
#include "lib/pool/locked.hpp"
#include "lib/pool/remote_exception.hpp"
#include "lib/pool/side.hpp"
#include "lib/pool/task_errors.hpp"
#include "lib/pool/throw_anew.hpp"

namespace pinion::pool {

using ring::ResultKind;
using ring::ResultMessage;

namespace {

/// Messages that an honest worker may leave unread: one for each block that it can have given away,
/// for each flight, and some.
std::uint64_t unread_max(const Lane& lane) noexcept {
  return lane.segment->committed() / shm::copied_result_bytes_max + 2 * lane.flights.size();
}

/// Null where it has come as bytes.
std::exception_ptr original_error(const Lane& lane, std::span<const std::byte> bytes) {
  auto error = lane.original(bytes);
  return error != nullptr ? std::make_exception_ptr(OriginalError{std::move(error)}) : nullptr;
}

}  // namespace

bool Collector::collect() {
  if (!state_.any_results()) return false;
  Locked lock(state_);
  for (const auto& lane : state_.lanes) {
    if (lane->alive() && lane->has_results()) drain(*lane);
  }
  if (!state_.backlog.empty() || state_.bound_waiting) dispatcher_.feed();
  return true;
}

bool Collector::drain(Lane& lane) {
  ResultMessage message;
  std::uint32_t taken = 0;
  while (taken < state_.capacity.ring_slots && next(lane, message)) {
    ++taken;
    if (!handle_or_keep(lane, message)) break;
  }
  if (taken == 0) return false;
  lane.line->drained.store(lane.results.position(), std::memory_order_release);
  dispatcher_.flush_give_backs(lane, false);
  dispatcher_.flush_controls(lane);
  if (lane.controls_waiting.size() > unread_max(lane)) {
    breach(lane, "it does not read what it is told");
  }
  lane.progress_ns = lane.in_flight() > 1 ? os::now_ns() : 0;
  return true;
}

bool Collector::next(Lane& lane, ResultMessage& message) noexcept {
  if (!lane.unhandled) [[likely]]
    return lane.results.take(message);
  message = *lane.unhandled;
  return true;
}

/// Where memory is short the message is handled again by whoever collects next; until its outcome
/// is stored nothing has changed.
bool Collector::handle_or_keep(Lane& lane, const ResultMessage& message) {
  try {
    const bool good = handle(lane, message);
    lane.unhandled.reset();
    return good;
  } catch (...) {
    lane.unhandled = message;
    throw;
  }
}

/// A worker that writes nonsense is replaced. What it has under way is settled when it is dead.
void Collector::breach(Lane& lane, const char* what) {
  if (lane.breach) return;
  lane.breach = true;
  lane.culprit = what;
  ++state_.counters.protocol_breaches;
  lane.kill();
  if (lane.local != nullptr) state_.must_tell_service = true;  // it may not end by itself
  dispatcher_.update(lane);
}

bool Collector::handle(Lane& lane, const ResultMessage& message) {
  switch (message.kind) {
    case ResultKind::ready:
      handle_ready(lane, message);
      return true;
    case ResultKind::start_failed:
      handle_start_failed(lane, message);
      return true;
    case ResultKind::left:
      if (message.payload.words[0] != 0) ++state_.counters.finalizer_errors;
      return true;
    case ResultKind::too_large:
      if (lane.takes_tasks()) {
        lane.retiring = true;
        state_.take_back_due.store(true, std::memory_order_relaxed);
        dispatcher_.update(lane);
        dispatcher_.retire_if_due(lane);
      }
      return true;
    case ResultKind::gave_up:
      breach(lane, "it had no memory left to say what went wrong");
      return false;
    default:
      break;
  }
  if (message.flight >= lane.flights.size() || !lane.flights[message.flight].used()) {
    breach(lane, "it answered a task that it was not given");
    return false;
  }
  if (message.kind == ResultKind::need_space) {
    if (handle_need_space(lane, message)) return true;
    breach(lane, "it asked for memory again before it was answered");
    return false;
  }
  Flight& flight = lane.flights[message.flight];
  // What was taken back is skipped, or was begun and found to have no item left.
  const bool nothing_ran =
      message.kind == ResultKind::skipped ||
      (message.kind == ResultKind::chunk && message.items_done == 0 && flight.assigned == 0);
  if (flight.position != message.position || (flight.revoked && !nothing_ran)) {
    breach(lane, "it answered a task twice, or one that was taken back");
    return false;
  }
  if (!handle_answer(lane, flight, message)) {
    breach(lane, "its answer makes no sense");
    return false;
  }
  dispatcher_.free_flight(lane, message.flight);
  dispatcher_.retire_if_due(lane);
  return true;
}

bool Collector::handle_answer(Lane& lane, Flight& flight, const ResultMessage& message) {
  if (message.kind == ResultKind::skipped) {
    dispatcher_.refund(lane, flight.count);
  } else if (message.kind == ResultKind::chunk && message.items_done < flight.count) {
    dispatcher_.refund(lane, flight.count - message.items_done);
  }
  if (message.cost_ns != 0) {
    const std::uint64_t items = std::max<std::uint32_t>(1, message.items_done);
    lane.learn_cost(
        static_cast<std::uint32_t>(std::min<std::uint64_t>(items * message.cost_ns, UINT32_MAX)),
        (flight.flags & ring::task_is_coroutine) != 0 ? state_.options.child_concurrency + 2 : 2);
    dispatcher_.update(lane);
    if (flight.map != nullptr) flight.map->cost_ns = message.cost_ns;
  }
  if (flight.revoked) return true;
  if (message.kind == ResultKind::skipped) {
    // Taken back in doubt, or found by a thread that winds up, and not started after all. Or a lie,
    // which would go on for ever.
    const auto revoked = lane.verdicts[message.flight].revoked.load(std::memory_order_relaxed);
    if (revoked != flight.position + 1 && !lane.winds_up()) return false;
    MapState* map = flight.map;
    dispatcher_.requeue(lane, message.flight);
    if (map != nullptr) settler_.finish_map(*map);
    return true;
  }
  if (flight.map == nullptr) {
    ++lane.tasks_done;
    const bool failed = message.kind == ResultKind::error || message.kind == ResultKind::timed_out;
    if (failed && dispatcher_.retry(lane, message.flight)) {
      if (const auto bytes = bytes_of(lane, message)) lane.drop_original(*bytes);
      return true;
    }
    return handle_single(lane, *flight.entry, message);
  }
  MapState& map = *flight.map;
  const bool good = flight.count == 1 ? handle_one_item(lane, flight, message)
                                      : handle_chunk(lane, flight, message);
  if (good) settler_.finish_map(map);
  return good;
}

std::optional<std::span<const std::byte>> Collector::bytes_of(const Lane& lane,
                                                              const ResultMessage& message) const {
  if ((message.flags & ring::result_is_inline) != 0) {
    if (message.inline_bytes > ring::inline_bytes_max) return std::nullopt;
    return std::span(message.payload.inline_bytes, message.inline_bytes);
  }
  const ring::BlockRef& block = message.payload.block;
  if (block.bytes == 0) return std::span<const std::byte>();
  const std::byte* at = lane.checked(block.offset, block.bytes);
  if (at == nullptr) return std::nullopt;
  if (ring::built_mutant == ring::Mutant::double_fetch) {
    ResultMessage again = message;
    lane.results.fetch_again(again);
    return std::span(lane.segment->begin() + again.payload.block.offset, again.payload.block.bytes);
  }
  return std::span(at, block.bytes);
}

bool Collector::handle_single(Lane& lane, LedgerEntry& entry, const ResultMessage& message) {
  const auto bytes = bytes_of(lane, message);
  if (!bytes) return false;
  switch (message.kind) {
    case ResultKind::value:
      if ((message.flags & ring::result_is_inline) != 0) [[likely]] {
        settler_.value_inline(entry, *bytes);
      } else if (bytes->size() <= shm::copied_result_bytes_max) {
        settler_.value_copied(entry, *bytes);
      } else {
        settler_.value_kept(entry, lane, message.payload.block.offset, bytes->size());
      }
      return true;
    case ResultKind::error:
      if (bytes->size() > exception_bytes_max) return false;
      if (const auto error = original_error(lane, *bytes)) {
        settler_.local_error(entry, error);
      } else {
        settler_.remote_error(entry, *bytes);
      }
      lane.drop_original(*bytes);
      return true;
    case ResultKind::cancelled:
      settler_.local_error(entry, cancelled_error(TaskName::single(entry)));
      return true;
    case ResultKind::timed_out:
      if (entry.side == nullptr) return false;  // it has no limit
      settler_.local_error(entry, timeout_error(TaskName::single(entry), entry.side->options, lane,
                                                TimedOut::stopped));
      return true;
    default:
      return false;
  }
}

bool Collector::handle_one_item(Lane& lane, Flight& flight, const ResultMessage& message) {
  MapState& map = *flight.map;
  const auto bytes = bytes_of(lane, message);
  if (!bytes) return false;
  ++lane.tasks_done;
  switch (message.kind) {
    case ResultKind::value:
      settler_.item_value(map, flight.first, *bytes);
      if ((message.flags & ring::result_is_inline) == 0 &&
          bytes->size() > shm::copied_result_bytes_max) {
        lane.give_backs.push_back(message.payload.block.offset);
      }
      return true;
    case ResultKind::error:
      if (bytes->size() > exception_bytes_max) return false;
      item_error(lane, map, flight.first, 1, *bytes);
      return true;
    case ResultKind::cancelled:
      settler_.items_stopped(map, flight.first, 1,
                             cancelled_error(TaskName::item_of(map, flight.first)));
      return true;
    case ResultKind::timed_out:
      settler_.items_local_error(map, flight.first, 1,
                                 timeout_error(TaskName::item_of(map, flight.first), map.options,
                                               lane, TimedOut::stopped));
      return true;
    default:
      return false;
  }
}

bool Collector::handle_chunk(Lane& lane, Flight& flight, const ResultMessage& message) {
  MapState& map = *flight.map;
  if (message.kind == ResultKind::error) {  // the chunk as a whole could not be run
    const auto bytes = bytes_of(lane, message);
    if (!bytes || bytes->size() > exception_bytes_max) return false;
    item_error(lane, map, flight.first, flight.assigned, *bytes);
    return true;
  }
  if (message.kind != ResultKind::chunk || message.items_done > flight.assigned) return false;
  // Fewer only where it was told to stop early, or has found an error on which to stop; or a lie,
  // which would go on for ever.
  const auto limit = lane.verdicts[message.flight].limit.load(std::memory_order_relaxed);
  const bool may_stop = (map.options.fail_fast && message.items_done != 0) || lane.winds_up();
  const bool all = message.items_done >= ring::limit_of(limit, flight.position, flight.assigned);
  if (!all && !may_stop) return false;
  // So that nothing throws once items have ended.
  map.taken_back.reserve(map.taken_back.size() + 1);
  state_.queue_of(map).reserve_one();
  if (!settle_items(lane, flight, message.payload.block.offset, message.items_done,
                    (flight.flags & ring::task_is_coroutine) != 0)) {
    return false;
  }
  lane.tasks_done += message.items_done;
  dispatcher_.give_back(map,
                        {flight.first + message.items_done, flight.assigned - message.items_done});
  return true;
}

bool Collector::settle_items(Lane& lane, Flight& flight, std::uint64_t block, std::uint32_t done,
                             bool marks) {
  MapState& map = *flight.map;
  const std::uint32_t stride = map.job->result_stride;
  const auto outcomes = ChunkOutcomes::read(lane, block, flight.count, stride, marks);
  if (!outcomes) return false;
  if (!marks && outcomes->errors().empty() && stride != shm::variable_stride) {
    settler_.item_values(map, flight.first, done, outcomes->values());
    return true;
  }
  if (marks) {  // an answer says that all of them have ended; else nobody would ever end them
    for (std::uint32_t i = 0; i < done; ++i) {
      if (outcomes->mark(i) != shm::item_ended) return false;
    }
  }
  for (std::uint32_t i = 0; i < done; ++i) {
    settle_item(lane, map, flight.first + i, *outcomes, i);
  }
  return true;
}

void Collector::item_error(const Lane& lane, MapState& map, std::uint64_t first,
                           std::uint32_t count, std::span<const std::byte> bytes) {
  const auto error = original_error(lane, bytes);
  if (error != nullptr) {
    settler_.items_local_error(map, first, count, error);
  } else {
    for (std::uint32_t i = 0; i < count; ++i) settler_.item_remote_error(map, first + i, bytes);
  }
  lane.drop_original(bytes);
}

void Collector::settle_item(const Lane& lane, MapState& map, std::uint64_t item,
                            const ChunkOutcomes& outcomes, std::uint32_t i) {
  const ChunkOutcomes::Error* const error = outcomes.error_of(i);
  if (error == nullptr) {
    if (map.job->result_stride == 0) {
      settler_.item_values(map, item, 1, nullptr);
    } else if (const auto bytes = outcomes.value(i)) {
      settler_.item_value(map, item, *bytes);
    } else {
      settler_.items_local_error(
          map, item, 1,
          std::make_exception_ptr(EncodingError("a worker's result lies outside its memory")));
    }
    return;
  }
  switch (error->kind) {
    case shm::ItemError::exception:
      item_error(lane, map, item, 1, error->bytes);
      return;
    case shm::ItemError::cancelled:
      settler_.items_stopped(map, item, 1, cancelled_error(TaskName::item_of(map, item)));
      return;
    case shm::ItemError::timed_out:
      settler_.items_local_error(
          map, item, 1,
          timeout_error(TaskName::item_of(map, item), map.options, lane, TimedOut::stopped));
      return;
  }
}

/// A worker that is short of result space waits for this answer. False where it did not wait for
/// the one before.
bool Collector::handle_need_space(Lane& lane, const ResultMessage& message) {
  const bool unanswered =
      std::any_of(lane.controls_waiting.begin(), lane.controls_waiting.end(),
                  [](const ring::TaskMessage& m) { return m.kind == ring::TaskKind::grant; });
  if (unanswered) return false;
  const std::uint64_t bytes = message.payload.words[0];
  ring::TaskMessage answer{};
  answer.flight = message.flight;
  answer.kind = ring::TaskKind::grant;
  const bool possible = bytes < state_.arena.limit();
  bool granted = possible && state_.arena.extend(*lane.segment, bytes);
  if (granted) {
    lane.line->granted.store(lane.segment->committed(), std::memory_order_release);
  } else if (possible) {
    // No more memory: what results hold is copied out, and what nobody reads goes back.
    std::erase_if(lane.kept, [&](LedgerEntry* entry) { return settler_.copy_out(*entry); });
    granted = !lane.give_backs.empty() || !lane.controls_waiting.empty();
  }
  dispatcher_.flush_give_backs(lane, true);
  answer.payload.words[0] = granted ? 1 : 0;
  dispatcher_.control(lane, answer);
  return true;
}

void Collector::handle_ready(Lane& lane, const ResultMessage& message) {
  if (lane.state != Lane::State::starting) return;
  static_cast<void>(message);
  lane.state = Lane::State::ready;
  lane.was_ready = true;
  lane.start_deadline_ns = os::never_ns;
  ++state_.ready_workers;
  if (lane.generation > 1) ++state_.counters.respawns;
  state_.deaths_before_ready = 0;
  dispatcher_.update(lane);
  if (!state_.accepting() && state_.pending.load(std::memory_order_relaxed) == 0) {
    state_.must_tell_service = true;  // it may have to leave at once
  }
  dispatcher_.feed();
}

void Collector::handle_start_failed(Lane& lane, const ResultMessage& message) {
  auto bytes = bytes_of(lane, message);
  if (bytes && bytes->size() > exception_bytes_max) bytes.reset();
  lane.start_error.assign(bytes ? bytes->begin() : std::span<const std::byte>{}.begin(),
                          bytes ? bytes->end() : std::span<const std::byte>{}.end());
  lane.start_failed = true;
}

}  // namespace pinion::pool
