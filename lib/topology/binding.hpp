// Binding to CPUs, and what the kernel says came of it.
#pragma once

#include <sys/types.h>

#include "lib/topology/cpu_set.hpp"

namespace pinion::topology {

/// The CPUs that a thread may run on, as the kernel has it now: of the calling thread for 0, else
/// of the thread with that id (a process's id is that of its first thread). Throws
/// std::system_error (ESRCH when it is gone).
[[nodiscard]] CpuSet bound_cpus(pid_t thread = 0);

/// Binds the calling thread, and the threads and children it makes later, to `cpus`, and returns
/// what the kernel then reports, which is `cpus`. Throws std::system_error when the kernel refuses,
/// or grants another set (a cpuset cuts it down without a word): the text has both sets, and the
/// thread keeps what was granted. An empty set is EINVAL.
CpuSet bind_self(const CpuSet& cpus);

}  // namespace pinion::topology
