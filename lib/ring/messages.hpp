// What the two rings carry: 56 bytes a message (the slot's first word is its sequence).
//
//   task message                                  result message
//   0  flight, kind, flags, count                 0  flight, kind, flags, inline_bytes
//   8  code_offset, module, inline_bytes, attempt 8  position answered
//   16 index of the first item                    16 items done, mean cost of an item in ns
//   24 payload: 32 bytes, or {offset, bytes}      24 payload: 32 bytes, or {offset, bytes}
//
// Offsets count from the start of the writer's segment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "lib/ring/slot.hpp"

namespace pinion::ring {

inline constexpr std::size_t inline_bytes_max = 32;

struct BlockRef {
  std::uint64_t offset;
  std::uint64_t bytes;
};

union Payload {
  std::byte inline_bytes[inline_bytes_max];
  BlockRef block;
  std::uint64_t words[inline_bytes_max / 8];
};

enum class TaskKind : std::uint8_t {
  run = 1,    // run `count` items of a task
  give_back,  // words[0..count) are offsets of result blocks that the manager no longer reads
  cancel,     // words[0] is the position + 1 of a coroutine task to cancel
  grant,      // the manager's answer to `need_space` of this flight; words[0]: 1 granted, 0 refused
  leave,      // end: nothing more comes
};

enum TaskFlags : std::uint8_t {
  payload_is_inline = 1,
  task_is_timed = 2,  // each item's start is stamped; the limit stands in its verdict
  task_is_coroutine = 4,
  task_has_short_items = 8,  // under 100 ns each: they are started in strips
  task_stops_at_error = 16,  // a plain chunk ends with the first item that fails
};

struct TaskMessage {
  std::uint16_t flight;
  TaskKind kind;
  std::uint8_t flags;
  std::uint32_t count;
  std::uint32_t code_offset;
  std::uint16_t module;
  std::uint8_t inline_bytes;
  std::uint8_t attempt;  // how often it was started before; stays at 255
  std::uint64_t first;
  Payload payload;
};

enum class ResultKind : std::uint8_t {
  value = 1,     // of a call, or of a chunk of one item
  error,         // of the same: an encoded exception
  chunk,         // a result block with an outcome for each of `items_done` items
  skipped,       // was taken back: not started
  cancelled,     // a coroutine that ended by being cancelled
  timed_out,     // a coroutine that ended because its time had passed
  need_space,    // not an end: words[0] bytes of result space are missing
  ready,         // the worker is ready: its first message, on no flight
  start_failed,  // the initializer threw: an encoded exception, on no flight
  left,          // the worker leaves after this; words[0]: 1 if its finalizer threw
  too_large,     // it holds more memory than a worker may: it is to be replaced, on no flight
  gave_up,       // a thread that cannot go on, where a process would abort; on no flight
};

enum ResultFlags : std::uint8_t { result_is_inline = 1 };

struct ResultMessage {
  std::uint16_t flight;
  ResultKind kind;
  std::uint8_t flags;
  std::uint32_t inline_bytes;
  std::uint64_t position;
  std::uint32_t items_done;
  std::uint32_t cost_ns;  // 0: not measured this time
  Payload payload;
};

static_assert(sizeof(TaskMessage) == message_bytes && sizeof(ResultMessage) == message_bytes,
              "a message and its sequence word are one cache line");
static_assert(std::is_trivially_copyable_v<TaskMessage> &&
                  std::is_trivially_copyable_v<ResultMessage>,
              "messages are copied by words");

/// No flight: messages that answer no task.
inline constexpr std::uint16_t no_flight = 0xffff;

}  // namespace pinion::ring
