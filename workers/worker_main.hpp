// The life of a worker, from its birth to its exit code: of a process, or of a thread.
#pragma once

#include "lib/start/birth.hpp"

namespace pinion::workers {

/// Called by: the nursery, in the new process. Returns the exit code. A task that calls pthread_exit
/// ends it by SIGABRT: its unwinding may not leave this.
int worker_main(const start::Birth& birth, const start::BirthFds& fds) noexcept;
/// Called in the new thread. A task that calls pthread_exit is unwound through it.
int thread_main(const start::Birth& birth, start::LocalHome& home);

}  // namespace pinion::workers
