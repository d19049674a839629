// The life of a worker process, from its birth to its exit code.
#pragma once

#include "lib/start/birth.hpp"

namespace pinion::workers {

/// Called by: the nursery, in the new process. Returns the exit code.
int worker_main(const start::Birth& birth, const start::BirthFds& fds);

}  // namespace pinion::workers
