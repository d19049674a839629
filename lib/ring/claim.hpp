// Claim and take-back: how the manager learns that a task has provably not started.
//
//   manager's segment, per worker and flight            only writer
//     revoked_end  a position; 0 at birth               manager
//     revoked      position + 1 of a task taken back    manager
//     limit        1 << 63 | position << 32 |           manager
//                  first item not to start
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
// compiler barrier (lib/ring/edge.hpp).
#pragma once

#include "lib/ring/bell.hpp"
#include "lib/ring/edge.hpp"
#include "lib/ring/slot.hpp"

namespace pinion::ring {

/// What the manager says of one flight. Written by the manager only.
template <class Atomics>
struct alignas(32) BasicVerdict {
  using Word = typename Atomics::template Word<std::uint64_t>;

  Word revoked;
  Word limit;
  Word stop;
  Word timeout_ns;
};
using Verdict = BasicVerdict<MachineAtomics>;
static_assert(sizeof(Verdict) == 32 && std::atomic<std::uint64_t>::is_always_lock_free);

/// Written by the manager only.
template <class Atomics>
struct alignas(writer_bytes) BasicManagerLine {
  using Word = typename Atomics::template Word<std::uint64_t>;

  // Read by the worker before each task, seldom written:
  Word revoked_end;  // positions below it may be revoked
  // Where results are collected now; -1: not known.
  typename Atomics::template Word<std::int32_t> collector_cpu;
  // Written at each drain, read by the worker when it is short of result space:
  alignas(writer_bytes) Word drained;  // result positions that were taken
  Word granted;                        // bytes of the worker's segment that are committed
};
using ManagerLine = BasicManagerLine<MachineAtomics>;
static_assert(sizeof(ManagerLine) == 2 * writer_bytes,
              "what is written often lies apart from what is read often");

/// Written by the worker only.
template <class Atomics>
struct alignas(writer_bytes) BasicWorkerLine {
  using Word = typename Atomics::template Word<std::uint64_t>;

  Word claimed;   // position + 1 of the newest task taken up
  Word read;      // task positions below it have left the ring
  Word chunk;     // position + 1 of the plain chunk that runs; 0: none
  Word progress;  // of that chunk: items done << 32 | items started
  Word block;     // of that chunk: offset of its result block
};
using WorkerLine = BasicWorkerLine<MachineAtomics>;
static_assert(sizeof(WorkerLine) == writer_bytes);

/// Never 0, as a word without a limit is: hence 31 bits of the position below one that is set.
constexpr std::uint32_t limit_tag(std::uint64_t position) noexcept {
  return static_cast<std::uint32_t>(position) | 0x8000'0000;
}
constexpr std::uint64_t pack_limit(std::uint64_t position, std::uint32_t first) noexcept {
  return std::uint64_t{limit_tag(position)} << 32 | first;
}
/// The first item that must not start; the whole chunk where the word is another task's.
constexpr std::uint32_t limit_of(std::uint64_t word, std::uint64_t position,
                                 std::uint32_t count) noexcept {
  if (word == 0) [[likely]]
    return count;
  const bool ours = word >> 32 == limit_tag(position);
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

/// `revoked_end` of a worker that was abandoned: nothing more may start there.
inline constexpr std::uint64_t revoked_all = ~std::uint64_t{0};

/// Worker: takes up the task at `position`. False: it was taken back and must not run.
template <class Atomics>
inline bool claim(BasicWorkerLine<Atomics>& mine, const BasicManagerLine<Atomics>& theirs,
                  const BasicVerdict<Atomics>& verdict, std::uint64_t position,
                  Fencing fencing) noexcept {
  if (Atomics::mutant != Mutant::claim_after_run) {
    store_before<Atomics>(mine.claimed, position + 1);
  }
  fast_barrier<Atomics>(fencing);  // EDGE claim
  const std::uint64_t end = load_behind<Atomics>(theirs.revoked_end, std::memory_order_acquire);
  if (position >= end) [[likely]]
    return true;
  if (end == revoked_all) return false;
  return verdict.revoked.load(std::memory_order_relaxed) != position + 1;
}

/// For code with the fault `claim_after_run`: called when the task has been run.
template <class Atomics>
inline void claim_after_run(BasicWorkerLine<Atomics>& mine, std::uint64_t position) noexcept {
  if (Atomics::mutant == Mutant::claim_after_run) {
    store_before<Atomics>(mine.claimed, position + 1);
  }
}

}  // namespace pinion::ring
