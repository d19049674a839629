// What the parts of a pool work on together.
//
// Two things guard it. The lock (`mutex`) guards everything here but what says otherwise. The baton
// says who may take results out of the rings: its owner looks at them without the lock, and takes
// the lock to handle them. Order: baton, then lock. No user code runs under either.
#pragma once

#include <pinion/detail/pool_core.hpp>
#include <pinion/errors.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lib/os/ensure.hpp"
#include "lib/os/fork_guard.hpp"
#include "lib/os/spin_budget.hpp"
#include "lib/pool/arena.hpp"
#include "lib/pool/backlog.hpp"
#include "lib/pool/baton.hpp"
#include "lib/pool/callbacks.hpp"
#include "lib/pool/in_place.hpp"
#include "lib/pool/lane.hpp"
#include "lib/pool/lane_set.hpp"
#include "lib/pool/ledger.hpp"
#include "lib/start/birth.hpp"
#include "lib/start/modules.hpp"
#include "lib/topology/plan.hpp"

namespace pinion::pool {

/// Bits of `LedgerEntry::code` above the token, while an entry waits.
inline constexpr std::uint64_t code_flags_shift = 56;
inline constexpr std::uint64_t code_in_arena = std::uint64_t{1} << 55;  // `data` is a BlockRef

class StreamJob;

struct State {
  /// What `eventfd` is rung with where nothing is to be collected, but the workers looked after.
  static constexpr std::uint64_t look_after = std::uint64_t{1} << 32;
  enum class Phase : std::uint8_t { open, closed, terminated, failed };

  State(PoolOptions pool_options, topology::Plan pool_plan, Ledger& pool_ledger);

  PoolOptions options;
  topology::Plan plan;
  const unsigned workers;
  const bool crowded;          // more workers than cores: nobody spins
  const std::int64_t spin_ns;  // how long one looks for work before it sleeps
  os::ForkGuard guard;

  mutable std::mutex mutex;
  const bool serial;  // callers run the workers
  const bool local;   // workers are in this process
  const shm::Capacity capacity;
  Arena arena;
  start::ModuleTable modules;
  Ledger& ledger;
  ring::Fencing fencing;
  os::Fd eventfd;       // wakes the service thread
  os::Fd bell_eventfd;  // wakes who collects and sleeps in a loop: the service thread, or a caller
  ring::Bell bell;      // the manager's
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<Seat> seats;     // at least one a lane
  LaneSet idle_lanes;          // ready, with nothing to do
  LaneSet open_lanes;          // ready, with room
  std::vector<Lane*> to_ring;  // pushed to since the lock was taken
  Backlog backlog;
  bool bound_waiting = false;  // a worker's own queue may hold something
  bool no_successors = false;  // a worker that dies is not replaced
  bool one_life = false;       // the same, and what it had goes nowhere else
  std::vector<std::unique_ptr<MapState>> maps;
  detail::CodeMap* code = nullptr;
  std::int64_t timed_check_ns = os::never_ns;  // when the service looks at timed tasks next
  bool timed_check_moved = false;              // it must be told

  detail::Side* dead_sides = nullptr;  // deleted when the lock is let go: they hold users' values

  Phase phase = Phase::open;
  std::string failure;  // why it failed
  PoolStats counters;
  unsigned ready_workers = 0;
  unsigned deaths_before_ready = 0;    // in a row
  unsigned open_streams = 0;           // more items of them may come
  bool must_tell_service = false;      // it has something to do now
  bool started = false;                // the constructor has returned
  std::string start_error;             // why it will not
  bool leaving = false;                // workers were told to leave
  bool looked_after = false;           // the service looks after the workers once a second
  bool must_look_after = false;        // it is to begin with that
  std::atomic<bool> must_stop{false};  // terminated or failed: the service stops everything
  start::KeptCall initializer;
  start::KeptCall finalizer;
  start::KeptCall exception_handler;
  std::uint64_t held_arguments = 0;  // bytes of tasks that abandoned threads may still read

  // The baton's owner's:
  os::SpinBudget spin;
  int collector_cpu = -1;
  std::vector<Lane*> lanes_here;  // workers bound to that core

  Baton baton;
  InPlace in_place;
  Callbacks callbacks;

  // Read without the lock:
  std::atomic<std::uint64_t> pending{0};      // items accepted and not ended; written under it
  std::atomic<bool> backlogged{false};        // somebody must collect, or work stands still
  std::atomic<bool> controls_waiting{false};  // messages that a worker has no slots for yet
  std::atomic<unsigned> unserved{0};          // callers that sleep without being listed
  std::atomic<std::uint64_t> collected{0};    // times that results were looked for
  std::atomic<std::uint64_t> wakes{0};        // system calls that woke a worker
  std::atomic<bool> take_back_due{false};     // of a map that fails, or of a worker that retires
  std::atomic<bool> refusing{false};          // no longer accepting
  std::atomic<bool> room_wanted{false};       // a submit waits for `pending` to fall
  std::atomic<bool> service_told{false};
  std::atomic<bool> service_ticks{false};  // it looks again by itself within a millisecond
  std::atomic<bool> ended{false};          // no worker is left, and none comes

  /// Where it waits: with the others, or for the one worker that it is for.
  [[nodiscard]] Backlog& queue_of(const TaskOptions* task_options) noexcept {
    if (task_options == nullptr || !task_options->worker) [[likely]]
      return backlog;
    return lanes[*task_options->worker]->bound;
  }
  [[nodiscard]] Backlog& queue_of(const LedgerEntry& entry) noexcept;
  [[nodiscard]] Backlog& queue_of(const MapState& map) noexcept { return queue_of(&map.options); }
  [[nodiscard]] Backlog& queue_of(const Waiting& waiting) noexcept {
    return waiting.map != nullptr ? queue_of(*waiting.map) : queue_of(*waiting.entry);
  }
  /// Behind the others that wait for the same, or ahead of them.
  void enqueue(Waiting waiting);
  void put_back(Waiting waiting);
  [[nodiscard]] bool anything_bound() const noexcept {
    return std::any_of(lanes.begin(), lanes.end(),
                       [](const auto& lane) { return !lane->bound.empty(); });
  }

  /// With rings that have shared indices: where they lie, in the bell segment.
  [[nodiscard]] std::byte* result_ring_memory(const Lane& lane) const noexcept {
    return arena.bell_memory() + arena.bell_layout().result_ring(lane.seat);
  }
  void remake_rings(Lane& lane);
  /// Gives the lane a place that nobody has. Throws `ResourceError` where there is none.
  void take_seat(Lane& lane);
  /// A newborn that comes too late would wait for the next task's position: it never comes.
  void skip_lap(Lane& lane) noexcept;

  /// Nothing starts any more; what has no result ends with `stop_error()`.
  [[nodiscard]] bool stopped() const noexcept { return phase >= Phase::terminated; }
  [[nodiscard]] std::exception_ptr stop_error() const {
    return phase == Phase::failed ? std::make_exception_ptr(PoolTerminated(failure))
                                  : std::make_exception_ptr(PoolTerminated());
  }
  /// A worker that has something to do is bound to the core where results are collected. Called by:
  /// the baton's owner.
  [[nodiscard]] bool shares_busy_core() const noexcept {
    for (const Lane* lane : lanes_here) {
      if (lane->outstanding.load(std::memory_order_relaxed) != 0) return true;
    }
    return false;
  }
  /// The callback thread sleeps on its own word, on the list, or collects.
  void post_callback(std::function<void()> callback) {
    callbacks.post(std::move(callback));
    baton.tell(&callbacks);
    bell.ring(true);  // or it is the one who collects, and parked
  }
  /// Called by: the baton's owner.
  void note_collecting() noexcept {
    collected.store(collected.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  /// Nothing is accepted any more: submits that wait for room are told. With the lock held.
  void refuse() noexcept {
    refusing.store(true);
    bell.ring(true);
    baton.tell(&pending);
  }
  /// A backstop has found work, and no bell has come.
  void note_late_wakeup() noexcept {
    const std::lock_guard lock(mutex);
    ++counters.late_wakeups;
  }
  /// Wakes the service thread, unless it has been told since it slept last.
  void tell_service_once() noexcept {
    if (ring::built_mutant == ring::Mutant::lost_service) return;
    if (!service_told.exchange(true, std::memory_order_seq_cst)) os::ring_eventfd(eventfd.get());
  }
  [[nodiscard]] bool accepting() const noexcept { return phase == Phase::open; }
  [[nodiscard]] bool any_results() const noexcept {
    for (const auto& lane : lanes) {
      if (lane->alive() && lane->has_results()) return true;
    }
    return false;
  }
  /// The worker has been given something; its bell is rung when the lock is let go.
  void must_ring(Lane& lane, bool urgent) {
    if (!lane.pushed) to_ring.push_back(&lane);
    lane.pushed = true;
    lane.urgent |= urgent;
  }
  void watch_timed(std::int64_t at_ns) noexcept {
    if (at_ns >= timed_check_ns) return;
    timed_check_ns = at_ns;
    timed_check_moved = true;
  }
  /// With the lock held; the watch is in no list any more.
  void tell(const detail::Watch& watch) noexcept;
  /// Those who wait for an item of a stream. With the lock held.
  void tell_consumers(StreamJob& job) noexcept;
  /// Somebody must collect although nobody may be waiting.
  [[nodiscard]] bool needs_collector() const noexcept {
    return backlogged.load(std::memory_order_seq_cst) ||  // EDGE told
           controls_waiting.load(std::memory_order_seq_cst) ||
           unserved.load(std::memory_order_seq_cst) != 0;
  }
  /// Somebody must collect, and nobody does: the service thread is to be told. `back_soon`: who has
  /// left the baton takes it again, unless what it does now lasts; then it is enough that the
  /// service looks again by itself.
  [[nodiscard]] bool nobody_looks(bool back_soon) const noexcept {
    if (!needs_collector() || baton.holder() != Baton::Holder::nobody) return false;
    return !(back_soon && service_ticks.load(std::memory_order_seq_cst));  // EDGE told
  }
};

/// Those that were given back under the lock, without it: user code may run.
void delete_sides(detail::Side* sides) noexcept;

}  // namespace pinion::pool
