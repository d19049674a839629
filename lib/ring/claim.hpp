// Claim and take-back: how the manager learns that a task has provably not started.
//
//   manager's segment, per worker and flight            only writer
//     revoked_end  a position; 0 at birth               manager
//     revoked      position + 1 of a task taken back    manager
//     limit        position + 1 << 32 | first item not  manager
//                  to start
//     timeout_ns   time limit of a timed task's items   manager, before the slot
//     stop         position + 1 that is asked to stop   manager
//   worker's segment
//     claimed      position + 1                         worker
//     read         a position                           worker
//     progress     items done << 32 | items started     worker
//
// A flight is the number of a credit; a task's slot names the one it travels on. Tables are indexed
// by flight and tagged with the position, since coroutine tasks end out of order.
//
// EDGE claim: the worker stores `claimed = p + 1`, then loads `revoked_end` (and, if p is below it,
// `revoked`); the manager stores `revoked`, then `revoked_end`, then loads `claimed`. At or above
// `claimed` a task will never start; below, it counts as started until the worker answers.
// EDGE progress: likewise `progress` and `limit` for the items of a chunk.
// Both are store-then-load edges: the manager issues one membarrier a batch, the worker has a
// compiler barrier (lib/ring/bell.hpp, Fencing).
#pragma once

#include "lib/ring/bell.hpp"
#include "lib/ring/slot.hpp"

namespace pinion::ring {

/// What the manager says of one flight. Written by the manager only.
struct alignas(32) Verdict {
  std::atomic<std::uint64_t> revoked;
  std::atomic<std::uint64_t> limit;
  std::atomic<std::uint64_t> stop;
  std::atomic<std::uint64_t> timeout_ns;
};
static_assert(sizeof(Verdict) == 32 && std::atomic<std::uint64_t>::is_always_lock_free);

/// Written by the manager only.
struct alignas(writer_bytes) ManagerLine {
  // Read by the worker before each task, seldom written:
  std::atomic<std::uint64_t> revoked_end;   // positions below it may be revoked
  std::atomic<std::int32_t> collector_cpu;  // where results are collected now; -1 unknown
  // Written at each drain, read by the worker when it is short of result space:
  alignas(writer_bytes) std::atomic<std::uint64_t> drained;  // result positions that were taken
  std::atomic<std::uint64_t> granted;  // bytes of the worker's segment that are committed
};
static_assert(sizeof(ManagerLine) == 2 * writer_bytes,
              "what is written often lies apart from what is read often");

/// Written by the worker only.
struct alignas(writer_bytes) WorkerLine {
  std::atomic<std::uint64_t> claimed;   // position + 1 of the newest task taken up
  std::atomic<std::uint64_t> read;      // task positions below it have left the ring
  std::atomic<std::uint64_t> chunk;     // position + 1 of the plain chunk that runs; 0: none
  std::atomic<std::uint64_t> progress;  // of that chunk: items done << 32 | items started
  std::atomic<std::uint64_t> block;     // of that chunk: offset of its result block
};
static_assert(sizeof(WorkerLine) == writer_bytes);

constexpr std::uint64_t pack_limit(std::uint64_t position, std::uint32_t first) noexcept {
  return (position + 1) << 32 | first;
}
/// The first item that must not start; the whole chunk where the word is another task's.
constexpr std::uint32_t limit_of(std::uint64_t word, std::uint64_t position,
                                 std::uint32_t count) noexcept {
  if (word == 0) [[likely]] return count;
  const bool ours = word >> 32 == ((position + 1) & 0xffff'ffff);
  const auto limit = static_cast<std::uint32_t>(word);
  return ours && limit < count ? limit : count;
}

constexpr std::uint64_t pack_progress(std::uint32_t done, std::uint32_t started) noexcept {
  return static_cast<std::uint64_t>(done) << 32 | started;
}
constexpr std::uint32_t items_done(std::uint64_t progress) noexcept {
  return static_cast<std::uint32_t>(progress >> 32);
}
constexpr std::uint32_t items_started(std::uint64_t progress) noexcept {
  return static_cast<std::uint32_t>(progress);
}

/// Worker: takes up the task at `position`. False: it was taken back and must not run.
inline bool claim(WorkerLine& mine, const ManagerLine& theirs, const Verdict& verdict,
                  std::uint64_t position, Fencing fencing) noexcept {
#ifdef __SANITIZE_THREAD__
  mine.claimed.exchange(position + 1, std::memory_order_seq_cst);
  const auto end =
      const_cast<std::atomic<std::uint64_t>&>(theirs.revoked_end).fetch_add(0);
#else
  mine.claimed.store(position + 1, std::memory_order_release);
  fast_barrier(fencing);  // EDGE claim
  const auto end = theirs.revoked_end.load(std::memory_order_acquire);
#endif
  static_cast<void>(fencing);
  if (position >= end) [[likely]] return true;
  if (end == ~std::uint64_t{0}) return false;  // abandoned: nothing more may start here
  return verdict.revoked.load(std::memory_order_relaxed) != position + 1;
}

}  // namespace pinion::ring
