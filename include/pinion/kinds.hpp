// The small choices a user makes: start method, idling, I/O backend.
#pragma once

namespace pinion {

/// How workers come into being. `automatic` chooses the cheapest one that is safe in this process.
enum class StartMethod { automatic, fork, forkserver, spawn, thread, serial };

/// What a worker does when it has nothing to do.
enum class Idle {
  spin,      ///< look for work without a pause: lowest latency, one core burnt
  adaptive,  ///< look for about as long as a wake-up costs, then sleep
  sleep,     ///< sleep at once
};

/// What carries a worker's waits. `automatic` is `uring` where the kernel allows it, else `poll`.
enum class IoBackend { automatic, uring, poll };

}  // namespace pinion
