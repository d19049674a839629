// The ledger's entry: one task, or one map, from its submit until its last handle is gone.
//
//   0     4       8       9     10     12    16    24    32                    64
//   +-----+-------+-------+-----+------+-----+-----+-----+---------------------+
//   |state|handles|outcome|bytes|worker|spare|side |code | arguments, then the  |
//   |     |       |       |     |      |     |     |     | result, to 32 bytes  |
//   +-----+-------+-------+-----+------+-----+-----+-----+---------------------+
//
// Private memory of the manager, one cache line, recycled last in first out. The collector writes
// the result and then sets `done` (release); whoever has loaded `done` (acquire) may read it.
#pragma once

#include <pinion/detail/task_frame.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pinion::detail {

struct Side;

enum EntryState : std::uint32_t {
  entry_done = 1,      // the outcome stands
  entry_dropped = 2,   // no handle is left
  entry_waited = 4,    // somebody sleeps until it is done
  entry_callback = 8,  // callbacks are registered
};

enum class Outcome : std::uint8_t {
  none,
  value,        // in `data`, or in `side`
  remote_error, // an encoded exception, in `side`
  local_error,  // an exception made here, in `side`
  mapped,       // a map: its job holds values and errors
};

struct alignas(64) LedgerEntry {
  std::atomic<std::uint32_t> state{0};
  std::atomic<std::uint32_t> more_handles{0};  // besides the first
  Outcome outcome = Outcome::none;
  std::uint8_t bytes = 0;  // of `data`
  std::uint16_t worker = 0;
  union {
    std::uint32_t next = 0;  // in the free list
    std::uint32_t number;    // while it is taken: items accepted before it, plus 1
  };
  Side* side = nullptr;    // what most tasks do not need
  std::uint64_t code = 0;  // while it waits for a worker: flags and token
  alignas(8) std::byte data[inline_bytes_max];

  [[nodiscard]] bool done() const noexcept {
    return (state.load(std::memory_order_acquire) & entry_done) != 0;
  }
};
static_assert(sizeof(LedgerEntry) == 64, "one cache line");

}  // namespace pinion::detail
