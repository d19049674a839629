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

// An entry ends, is waited for and is dropped at any time: each is a bit, set once, and who sets
// one learns from the others what is left to do.
template <class Word>
[[nodiscard]] bool has_ended(const Word& state) noexcept {
  return (state.load(std::memory_order_acquire) & entry_done) != 0;
}
/// Ends it. Returns the bits of before: a waiter is to be told, a dropped entry to be given back.
template <class Word>
std::uint32_t set_ended(Word& state) noexcept {
  return state.fetch_or(entry_done, std::memory_order_acq_rel);
}
/// Before one sleeps: whoever ends it from here on tells. One looks once more after this.
template <class Word>
void set_waited(Word& state) noexcept {
  state.fetch_or(entry_waited, std::memory_order_acq_rel);
}
/// The last handle goes. True: it has ended, and the caller gives it back; else whoever ends it.
template <class Word>
[[nodiscard]] bool set_dropped(Word& state) noexcept {
  return has_ended(state) ||
         (state.fetch_or(entry_dropped, std::memory_order_acq_rel) & entry_done) != 0;
}

enum class Outcome : std::uint8_t {
  none,
  value,         // in `data`, or in `side`
  remote_error,  // an encoded exception, in `side`
  local_error,   // an exception made here, in `side`
  mapped,        // a map: its job holds values and errors
};

/// Set once, under the pool's lock; read by any thread, without.
class SidePointer {
 public:
  SidePointer& operator=(Side* side) noexcept {
    pointer_.store(side, std::memory_order_release);
    return *this;
  }
  operator Side*() const noexcept { return pointer_.load(std::memory_order_acquire); }
  Side* operator->() const noexcept { return *this; }

 private:
  std::atomic<Side*> pointer_{nullptr};
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
  SidePointer side;        // what most tasks do not need
  std::uint64_t code = 0;  // while it waits for a worker: flags and token
  alignas(8) std::byte data[inline_bytes_max];

  [[nodiscard]] bool done() const noexcept { return has_ended(state); }
};
static_assert(sizeof(LedgerEntry) == 64, "one cache line");

}  // namespace pinion::detail
