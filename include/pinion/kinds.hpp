// The small choices a user makes: start method, idling, I/O backend.
#pragma once

namespace pinion {

/// How workers come into being.
enum class StartMethod {
  /// What `set_start_method` says; else `fork` where the process has one thread and less than 256
  /// MiB
  /// of private memory, else `forkserver` if the program calls `pinion::init`.
  automatic,
  fork,        ///< copies of this process, by a small copy made when the pool is
  forkserver,  ///< the program started anew, once, which is then copied
  spawn,       ///< the program started anew, for each worker
  /// Threads of this process: cheapest to make, and nothing is protected from a task. None can be
  /// killed: one that outlives its time is abandoned and replaced.
  thread,
  /// No worker at all: the call runs in the thread that makes it, one at a time, and everything
  /// else is as with workers. For debuggers and profilers.
  serial,
};

/// What a worker does when it has nothing to do.
enum class Idle {
  spin,      ///< look for work without a pause: lowest latency, one core burnt
  adaptive,  ///< look for about as long as a wake-up costs, then sleep
  sleep,     ///< sleep at once
};

/// What carries a worker's waits. `automatic` is `uring` where the kernel allows it, else `poll`.
enum class IoBackend { automatic, uring, poll };

}  // namespace pinion
