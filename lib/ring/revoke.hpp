// The manager's side of claim and take-back: what it says, and what it may conclude.
//
// EDGE claim, EDGE progress: see lib/ring/claim.hpp.
#pragma once

#include <algorithm>

#include "lib/ring/claim.hpp"

namespace pinion::ring {

/// Takes tasks back from one worker: add each, then publish all with one barrier.
template <class Atomics>
class Revocation {
 public:
  explicit Revocation(BasicManagerLine<Atomics>& mine) noexcept
      : mine_(mine), end_(mine.revoked_end.load(std::memory_order_relaxed)) {}

  void add(BasicVerdict<Atomics>& verdict, std::uint64_t position) noexcept {
    verdict.revoked.store(position + 1, std::memory_order_relaxed);
    end_ = std::max(end_, position + 1);
  }

  /// Returns what the worker has claimed: of the tasks added, those at positions from it on will
  /// never start; those below it have started, or have not, and are answered.
  std::uint64_t publish(const BasicWorkerLine<Atomics>& theirs, Fencing fencing) const noexcept {
    mine_.revoked_end.store(end_, std::memory_order_release);
    rare_barrier<Atomics>(fencing);  // EDGE claim
    return theirs.claimed.load(std::memory_order_acquire);
  }

 private:
  BasicManagerLine<Atomics>& mine_;
  std::uint64_t end_;
};

/// What is cut: a chunk, of which the first `assigned` items are still the worker's.
struct CutChunk {
  std::uint64_t position;
  std::uint32_t assigned;
  bool coroutine;  // its items end in any order
};

/// Takes the items from `first` on from a chunk; a limit never rises, since the worker may have
/// ended the chunk at the one before. Returns the first item that will provably never start there,
/// `assigned` where none is.
template <class Atomics>
inline std::uint32_t cut(BasicVerdict<Atomics>& verdict, const BasicWorkerLine<Atomics>& theirs,
                         const CutChunk& chunk, std::uint32_t first, Fencing fencing) noexcept {
  const std::uint64_t tag = chunk.position + 1;
  first = limit_of(verdict.limit.load(std::memory_order_relaxed), chunk.position, first);
  verdict.limit.store(pack_limit(chunk.position, first), std::memory_order_release);
  rare_barrier<Atomics>(fencing);  // EDGE progress
  std::uint32_t started = 0;
  if (!chunk.coroutine && theirs.chunk.load(std::memory_order_acquire) == tag) {
    started = items_started(theirs.progress.load(std::memory_order_acquire));
    // It may have gone on to its next chunk between the two: then that was the next one's progress.
    if (theirs.chunk.load(std::memory_order_acquire) != tag) started = chunk.assigned;
  } else {
    // Not begun, or ended already: what it does from here on, it does below the limit.
    started = chunk.coroutine ? chunk.assigned : first;
    if (theirs.claimed.load(std::memory_order_acquire) > chunk.position &&
        theirs.chunk.load(std::memory_order_acquire) != tag) {
      started = chunk.assigned;  // it is not known how far it is
    }
  }
  return std::min(chunk.assigned, std::max(first, started));
}

}  // namespace pinion::ring
