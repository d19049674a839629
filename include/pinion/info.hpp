// What a pool tells about itself.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace pinion {

/// One worker as it is now.
struct WorkerInfo {
  enum class State { starting, ready, stopping, lost };

  unsigned index = 0;            ///< 0 to `processes() - 1`, kept over respawns
  pid_t pid = 0;                 ///< 0 while there is none
  std::vector<unsigned> cpus;    ///< as the kernel has it now; empty when unbound
  int numa_node = -1;            ///< of its CPUs; -1 when unknown, unbound, or more than one
  std::uint32_t generation = 0;  ///< 1 for the first process, one more for each successor
  State state = State::starting;
  std::string io_backend;        ///< "uring", "poll", or "" before the first await
  std::string io_reason;         ///< why that backend
  std::uint64_t tasks_done = 0;  ///< items that ended in this worker, all generations
  int memory_node = -1;       ///< that holds its shared memory, as the kernel says; -1: it does not
  std::string memory_reason;  ///< why there: "node 1 preferred", "not bound: ..."
  /// How often a task held its loop for longer than `PoolOptions::stall_limit` while coroutines
  /// waited for it, all generations; several quick ones in a row may count as one. And the longest
  /// time of the process that runs now.
  std::uint64_t stalls = 0;
  std::chrono::nanoseconds longest_stall{0};
};

/// Counters of one pool since it was made.
struct PoolStats {
  std::uint64_t accepted = 0;   ///< items accepted
  std::uint64_t completed = 0;  ///< items ended with a value
  std::uint64_t failed = 0;     ///< items ended with any error
  std::uint64_t pending = 0;    ///< items accepted and not ended
  std::uint64_t deaths = 0;     ///< workers that died without being asked to
  std::uint64_t abandoned =
      0;                       ///< of them, killed and not ended within 1 s, or threads that ran on
  std::uint64_t respawns = 0;  ///< successors that became ready
  std::uint64_t taken_back = 0;    ///< tasks taken back from a worker before they started
  std::uint64_t late_wakeups = 0;  ///< backstop timers that found work; 0 unless a bell was lost
  std::uint64_t protocol_breaches = 0;  ///< workers replaced for what they wrote
  std::uint64_t callback_errors = 0;    ///< exceptions that callbacks threw
  bool nursery_lost = false;      ///< the process that makes workers has died: none is replaced now
  std::uint64_t arena_bytes = 0;  ///< shared memory committed now
  std::uint64_t wakes = 0;        ///< system calls that woke a worker
  std::uint64_t retried = 0;      ///< items that had failed and were started again
  std::uint64_t recycled = 0;     ///< workers that left by `max_tasks_per_child` or its like
  std::uint64_t finalizer_errors = 0;  ///< exceptions that finalizers threw
  std::uint64_t handler_errors = 0;    ///< exceptions that `exception_handler` threw
  std::uint64_t stalls = 0;       ///< the sum of `WorkerInfo::stalls`
};

}  // namespace pinion
