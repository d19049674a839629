#include "lib/pool/start_errors.hpp"

#include <pinion/errors.hpp>

namespace pinion::pool {

void throw_start_error(const std::system_error& error) {
  const std::string found = error.what();
  switch (error.code().value()) {
    case EMFILE:
      throw ResourceError("file descriptors (RLIMIT_NOFILE)", found,
                          "raise the limit (ulimit -n) or use fewer workers");
    case ENFILE:
      throw ResourceError("open files of the machine (fs.file-max)", found,
                          "raise the limit or use fewer workers");
    case EAGAIN:
      throw ResourceError("processes (RLIMIT_NPROC, pids.max of the cgroup)", found,
                          "raise the limit (ulimit -u) or use fewer workers");
    case ENOMEM:
    case ENOSPC:
      throw ResourceError("memory (RLIMIT_AS, the cgroup's limit)", found,
                          "free memory, raise the limit, use fewer workers or lower "
                          "PoolOptions::arena_bytes");
    default:
      throw StartError("the workers could not be started: " + found);
  }
}

}  // namespace pinion::pool
