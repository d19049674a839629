// Whoever makes workers for a pool.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "lib/os/fd.hpp"
#include "lib/start/birth.hpp"

namespace pinion::start {

class LocalWorker;

struct Newborn {
  pid_t pid = 0;
  os::Fd pidfd;                        // readable when it has ended
  std::shared_ptr<LocalWorker> local;  // null: it is a process
};

/// Called by: the service thread, which must outlive every worker: their parent-death signal
/// follows it.
class WorkerMaker {
 public:
  virtual ~WorkerMaker() = default;

  /// Makes one worker. Throws `std::system_error`, ETIMEDOUT when there is no answer in time.
  virtual Newborn make(Birth birth, const BirthFds& fds, std::int64_t deadline_ns) = 0;
  /// Hangs up when no more workers can be made; -1 where that does not happen.
  [[nodiscard]] virtual int socket() const noexcept = 0;
  /// Ends what it has made besides workers, which go on.
  virtual void end() noexcept = 0;
};

}  // namespace pinion::start
