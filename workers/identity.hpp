// Who this worker process is.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace pinion::workers {

struct Identity {
  unsigned index = 0;
  std::uint32_t generation = 0;
  int numa_node = -1;
  std::vector<unsigned> cpus;  // as the kernel reported them after binding; empty: unbound
  pid_t pid = 0;
  pid_t manager = 0;
};

}  // namespace pinion::workers
