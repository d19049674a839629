// What workers write, built as the library lays it out, with lies wherever one can be told.
#include "fuzz/worker_steps.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "lib/os/clock.hpp"
#include "lib/pool/remote_exception.hpp"

namespace fuzz {

using pool::Flight;
using pool::Lane;
using ring::ResultKind;
using ring::ResultMessage;

namespace {

/// A flight that is used, if there is one.
std::optional<std::uint16_t> used_flight(const Lane& lane, unsigned choice) {
  if (lane.in_flight() == 0) return std::nullopt;
  choice %= lane.in_flight();
  for (std::uint16_t i = 0; i < lane.flights.size(); ++i) {
    if (lane.flights[i].used() && choice-- == 0) return i;
  }
  return std::nullopt;
}

}  // namespace

/// Numbers that are worth writing.
std::uint64_t WorkerSteps::value(const Lane& lane) {
  const auto near = [&] {
    return static_cast<std::uint64_t>(static_cast<std::int8_t>(in_.byte()));
  };
  const std::uint64_t end = lane.segment->committed();
  switch (in_.byte() % 14) {
    case 0:
      return in_.byte();
    case 1:
      return pool_.results_begin() + in_.number<std::uint16_t>() * 8U;
    case 2:
      return end - in_.byte();
    case 3:
      return ~std::uint64_t{0} - in_.byte();
    case 4:
      return lane.tasks.position() + near();
    case 5: {
      const auto flight = used_flight(lane, in_.byte());
      return flight ? lane.flights[*flight].position + 1 : 1;
    }
    case 6: {
      const std::uint32_t done = in_.byte();
      return ring::pack_progress(done, in_.byte());
    }
    case 7:
      return pool_.results_begin() + in_.byte();
    case 8:
      return lane.segment->size() - in_.byte();
    case 9:
      return static_cast<std::uint64_t>(pinion::os::now_ns()) - in_.byte();
    case 10:
      return lane.results.position() + near();
    case 11:
      return std::uint64_t{1} << in_.byte() % 64;
    case 12:
      return pool_.results_begin() - in_.byte();
    default:
      return in_.number<std::uint64_t>();
  }
}

void WorkerSteps::store(unsigned worker, std::uint64_t at, const void* from, std::size_t size) {
  pool_.store(worker, at, from, size);
}

void WorkerSteps::store(unsigned worker, std::uint64_t at, std::uint64_t value) {
  store(worker, at, &value, sizeof value);
}

void WorkerSteps::word() {
  const unsigned w = in_.worker();
  const Lane& lane = pool_.lane(w);
  const std::uint8_t where = in_.byte();
  const std::uint8_t which = in_.byte();
  if (!lane.alive()) return;
  const auto flight_word = [&](unsigned choice) {
    const auto flight = used_flight(lane, choice);
    return shm::WorkerLayout::flights + (flight ? *flight : 0U) * sizeof(shm::WorkerFlight) +
           choice / 32 % 3 * 8;
  };
  std::uint64_t at = 0;
  switch (where % 6) {
    case 0:
      at = shm::WorkerLayout::line + which % 5 * 8U;
      break;
    case 1:
      at = shm::WorkerLayout::note + which % 16 * 8U;
      break;
    case 2:
      at = flight_word(which);
      break;
    case 3:  // the slot that the manager looks at, or one near it
      at = pool_.state.arena.worker_layout().result_ring() +
           ((lane.results.position() + which / 8) % pool_.state.capacity.ring_slots) * 64 +
           which % 8 * 8U;
      break;
    case 4:
      at = pool_.results_begin() + which * 8U;
      break;
    case 5:
      at = which * 8U;
      break;  // the header
  }
  store(w, at, value(lane));
}

void WorkerSteps::bytes() {
  const unsigned w = in_.worker();
  const std::uint64_t at = pool_.results_begin() + in_.number<std::uint16_t>();
  const unsigned count = in_.byte() % 64;
  std::array<std::uint8_t, 64> some{};
  for (unsigned i = 0; i < count; ++i) some[i] = in_.byte();
  store(w, at, some.data(), count);
}

/// An answer as an honest worker gives it, with all that it says before.
void WorkerSteps::answer() {
  const unsigned w = in_.worker();
  const unsigned choice = in_.byte();
  const unsigned how = in_.byte();
  const Lane& lane = pool_.lane(w);
  if (!lane.alive()) return;
  if (const auto flight = used_flight(lane, choice)) answer(w, *flight, how);
}

void WorkerSteps::answer_first(unsigned w) {
  if (const auto flight = used_flight(pool_.lane(w), 0)) answer(w, *flight, 0);
}

void WorkerSteps::answer(unsigned w, std::uint16_t number, unsigned how) {
  const Lane& lane = pool_.lane(w);
  const Flight& flight = lane.flights[number];
  store(w, shm::WorkerLayout::line,
        std::max(flight.position + 1, lane.worker_line().claimed.load()));
  ResultMessage message{};
  message.flight = number;
  message.position = flight.position;
  message.items_done = flight.count;
  message.cost_ns = how / 16;
  const std::uint64_t block = pool_.results_begin() + how % 4 * 1024;
  const ring::Verdict& verdict = lane.verdicts[number];
  if (verdict.revoked.load() == flight.position + 1) {
    message.kind = ResultKind::skipped;
  } else if (flight.map != nullptr && flight.count > 1) {
    message.kind = ResultKind::chunk;
    message.items_done = ring::limit_of(verdict.limit.load(), flight.position, flight.count);
    if ((flight.flags & ring::task_is_coroutine) != 0 && !flight.stopping) {
      message.items_done = flight.count;
    }
    message.payload.block = {block, 0};
    write_block(w, flight, block, 0, how);
  } else {
    message.kind = how % 4 == 3 ? ResultKind::error : ResultKind::value;
    if (how % 4 == 2) {
      message.payload.block = {block, how * 8U};
    } else {
      message.flags = ring::result_is_inline;
      message.inline_bytes = how % 33;
    }
  }
  pool_.push(w, message);
}

void WorkerSteps::forge() {
  const unsigned w = in_.worker();
  const Lane& lane = pool_.lane(w);
  if (!lane.alive()) return;
  const auto used = used_flight(lane, in_.byte());
  const std::uint8_t lies = in_.byte();
  ResultMessage message{};
  message.kind = static_cast<ResultKind>(in_.byte() % 12);
  message.flight = used && (lies & 1) == 0 ? *used : static_cast<std::uint16_t>(value(lane));
  message.position = used && (lies & 2) == 0 ? lane.flights[*used].position : value(lane);
  message.flags = in_.byte();
  message.inline_bytes =
      (lies & 4) == 0 ? in_.byte() % 33 : static_cast<std::uint32_t>(value(lane));
  message.items_done = (lies & 8) == 0 && used ? lane.flights[*used].assigned
                                               : static_cast<std::uint32_t>(value(lane));
  message.cost_ns = (lies & 16) == 0 ? 0 : static_cast<std::uint32_t>(value(lane));
  for (std::uint64_t& w64 : message.payload.words) w64 = (lies & 32) == 0 ? value(lane) : 0;
  if (message.kind == ResultKind{11}) message.kind = static_cast<ResultKind>(in_.byte());
  const unsigned copies = (lies & 64) == 0 ? 1 : in_.byte();
  for (unsigned i = 0; i < copies; ++i) pool_.push(w, message);
}

/// A block for the flight: where it lies, honest or with lies in it.
void WorkerSteps::chunk() {
  const unsigned w = in_.worker();
  const unsigned choice = in_.byte();
  const unsigned how = in_.byte();
  const std::uint8_t lies = in_.byte();
  const Lane& lane = pool_.lane(w);
  if (!lane.alive()) return;
  const auto number = used_flight(lane, choice);
  if (!number || lane.flights[*number].map == nullptr) return;
  const Flight& flight = lane.flights[*number];
  const std::uint64_t block = pool_.results_begin() + how % 4 * 1024;
  write_block(w, flight, block, lies, how);
  // A plain chunk that runs, or a coroutine's that has begun: what counts if the worker dies.
  if ((flight.flags & ring::task_is_coroutine) != 0) {
    const std::uint64_t at = shm::WorkerLayout::flights + *number * sizeof(shm::WorkerFlight);
    store(w, at + 16, block);
    store(w, at + 8, flight.position + 1);
  } else {
    store(w, shm::WorkerLayout::line + 32, block);
    const std::uint32_t done = in_.byte() % (flight.count + 1);
    store(w, shm::WorkerLayout::line + 24,
          ring::pack_progress(done, in_.byte() % (flight.count + 1)));
    store(w, shm::WorkerLayout::line + 16, flight.position + 1);
  }
  store(w, shm::WorkerLayout::line, flight.position + 1);
}

void WorkerSteps::write_block(unsigned w, const Flight& flight, std::uint64_t block,
                              std::uint8_t lies, unsigned how) {
  const Lane& lane = pool_.lane(w);
  const std::uint32_t stride = flight.map->job->result_stride;
  const bool marks = (flight.flags & ring::task_is_coroutine) != 0;
  const std::uint64_t behind =
      shm::align_up(block + shm::chunk_block_bytes(flight.count, stride, marks), 64);
  store(w, block, std::uint64_t{0});
  if (stride == shm::variable_stride) {
    for (std::uint32_t i = 0; i < flight.count; ++i) {
      const bool lie = (lies & 1) != 0 && i < 8;
      const std::uint64_t at = block + sizeof(shm::ChunkBlock) + i * sizeof(shm::ValueRef);
      store(w, at, lie ? value(lane) : (lies & 2) != 0 ? pool_.results_begin() : behind);
      store(w, at + 8,
            lie               ? value(lane)
            : (lies & 2) != 0 ? lane.segment->committed() - pool_.results_begin()
                              : how);
    }
  }
  for (std::uint32_t i = 0; marks && i < flight.count; ++i) {
    const std::uint8_t mark = (lies & 4) != 0 ? in_.byte() : std::uint8_t{shm::item_ended};
    store(w, block + shm::marks_at(flight.count, stride) + i, &mark, 1);
    if ((lies & 4) != 0 && i > 16) break;
  }
  // Errors of some items: a list in order, or one that leads somewhere.
  const unsigned errors = (lies & 8) != 0 ? in_.byte() % 8U : how / 32;
  for (unsigned i = 0; i < errors && i < flight.count; ++i) {
    const std::uint64_t at = behind + 512 + i * 64;
    const bool lie = (lies & 16) != 0;
    store(w, at, lie ? value(lane) : i == 0 ? 0 : at - 64);
    const std::uint64_t kind = (lies & 32) != 0 ? in_.byte() : i % 3;
    store(w, at + 8, kind << 32 | ((lies & 64) != 0 ? in_.byte() : i));
    store(w, at + 16, (lies & 128) != 0 ? value(lane) : 24);
    store(w, block, at);
  }
}

/// Bytes that an exception was made of, at the start of a block that messages may name.
void WorkerSteps::error() {
  const unsigned w = in_.worker();
  const std::uint64_t at = pool_.results_begin() + in_.number<std::uint16_t>();
  const unsigned which = in_.byte();
  std::exception_ptr error = std::make_exception_ptr(std::out_of_range("too far"));
  if (which % 2 != 0) {
    try {
      try {
        std::rethrow_exception(error);
      } catch (...) {
        std::throw_with_nested(std::system_error(ENOENT, std::generic_category(), "outer"));
      }
    } catch (...) {
      error = std::current_exception();
    }
  }
  std::vector<std::byte> encoded = pool::encode_exception(error, {w, 1234, which});
  if (which >= 128) encoded[in_.byte() % encoded.size()] = static_cast<std::byte>(in_.byte());
  store(w, at, encoded.data(), encoded.size());
}

void WorkerSteps::bell() {
  const unsigned which = in_.byte();
  const auto value = in_.number<std::uint32_t>();
  const std::uint64_t at =
      which % 3 == 0 ? shm::BellLayout::manager : shm::BellLayout::worker(which % pool_.workers);
  std::memcpy(pool_.state.arena.bell_memory() + at, &value, sizeof value);
}

}  // namespace fuzz
