// What a pool and a task can be asked for.
#pragma once

#include <pinion/chunking.hpp>
#include <pinion/kinds.hpp>
#include <pinion/placement.hpp>
#include <pinion/remote_call.hpp>
#include <pinion/remote_handler.hpp>
#include <pinion/scheduler.hpp>
#include <pinion/time_limit.hpp>

#include <chrono>
#include <cstddef>
#include <optional>

namespace pinion {

/// Options of a pool; each has a default that fits most programs. Bad values are
/// `std::invalid_argument` with the option's name.
struct PoolOptions {
  unsigned processes = 0;           ///< 0: one per usable core
  RemoteCall initializer{};         ///< `pinion::call(f, args...)`: runs in each worker first
  unsigned child_concurrency = 16;  ///< coroutine tasks in flight per worker, at most 65,536
  StartMethod start_method = StartMethod::automatic;
  Placement placement{};       ///< which CPUs
  Idle idle = Idle::adaptive;  ///< what a worker does when it has nothing to do
  IoBackend io = IoBackend::automatic;
  /// Most shared memory that the pool may hold, in bytes; 0: a quarter of what cgroup and machine
  /// have free. It starts with 1 MiB and 0.5 MiB a worker and grows with what is in flight.
  std::size_t arena_bytes = 0;
  std::size_t max_pending = std::size_t{1} << 20;    ///< items accepted and not ended
  TimeLimit start_limit = std::chrono::seconds(60);  ///< until a worker is ready
  /// Runs in each worker that leaves of its own accord, after its last task; so not in one that is
  /// killed, as by `terminate`. What it throws is counted; after `start_limit` it is killed.
  RemoteCall finalizer{};
  /// So many items are started in a process, exactly; then it leaves, and a successor is made. 0:
  /// no limit.
  unsigned max_tasks_per_child = 0;
  Scheduler scheduler = Scheduler::least_loaded();  ///< which worker gets a task
  RemoteHandler exception_handler{};  ///< sees the exception of each item that fails, in the worker
  /// How long the scope's end waits for what was accepted; then the pool is terminated. None: as
  /// long as it takes.
  TimeLimit shutdown_limit{};
  /// A process whose resident set, in bytes, is larger after a task gets no further ones, and a
  /// successor is made. It is looked at every millisecond at most. 0: no limit.
  std::size_t max_rss_per_child = 0;
  /// A task that holds a worker's loop for longer while coroutines wait for it is a stall, which
  /// `WorkerInfo` and `PoolStats` count: a plain task beside them, or a coroutine between two
  /// awaits.
  TimeLimit stall_limit = std::chrono::milliseconds(100);
};

/// Options of one call, given as its first argument.
struct TaskOptions {
  /// From the start of the item. When it passes, a coroutine is cancelled at its await; a worker
  /// that is not back within `grace` is killed and replaced, and the item ends with `TaskTimeout`.
  TimeLimit timeout{};
  TimeLimit grace = std::chrono::seconds(1);
  /// How often an item that has failed (by its own error, a lost worker or its time limit) is
  /// started again, elsewhere or where it was: for tasks that may run more than once.
  /// `this_task::attempt()` counts. The last error is the one that is told.
  unsigned retries = 0;
  /// Of a map or a stream: an item that fails cancels all that has not started. Then `Cancelled` is
  /// thrown only where there is no item's own error.
  bool fail_fast = false;
  /// Only in the worker of this index, or in its successor. Beyond the pool's it is
  /// `std::invalid_argument`.
  std::optional<unsigned> worker{};
  /// Whether a submit waits at `PoolOptions::max_pending`; else it throws `ResourceError`.
  bool wait_when_full = true;
};

/// Options of a stream: `Pool::imap` and its kin.
struct StreamOptions {
  Chunking chunksize = 1;  ///< items that travel together
  /// Most items that are taken from the range ahead of who takes results; 0: what keeps the workers
  /// busy, which is 64 a worker (of coroutine tasks `2 * child_concurrency`), or 4 chunks.
  std::size_t window = 0;
  TaskOptions task{};  ///< of each item
};

}  // namespace pinion
