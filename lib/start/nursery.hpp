// The nursery: a small single-threaded process from which every worker is made, the first as well
// as the respawned, so that no fork ever happens in a busy, threaded program.
//
//   manager: service thread ── fork ──► nursery ── clone(CLONE_PARENT) ──► worker
//        └───────────────────── is the parent of both ─────────────────────┘
//
// Workers are the manager's children: it gets their exact status, and their parent-death signal
// follows the thread that made the nursery.
#pragma once

#include <optional>

#include "lib/os/fd.hpp"
#include "lib/start/birth.hpp"

namespace pinion::start {

struct Newborn {
  pid_t pid = 0;
  os::Fd pidfd;
};

class Nursery {
 public:
  /// Forks the nursery. Called by: the service thread, which must outlive every worker.
  /// Throws `std::system_error`.
  explicit Nursery(WorkerMain worker_main);
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;
  ~Nursery() { end(); }

  /// Makes one worker. Throws `std::system_error`, ETIMEDOUT when there is no answer in time.
  Newborn make(Birth birth, const BirthFds& fds, std::int64_t deadline_ns);

  /// Hangs up when the nursery has ended: nobody else has the other end.
  [[nodiscard]] int socket() const noexcept { return socket_.get(); }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Ends it now, if it has not ended, and reaps it. Workers go on.
  void end() noexcept;
  /// Ends and reaps workers whose birth was never told, because the nursery died or an answer was
  /// not received. Called by: the service thread, when all other workers are gone.
  static void reap_lost() noexcept;

 private:
  pid_t pid_ = 0;
  std::uint64_t orders_ = 0;
  os::Fd socket_;
};

}  // namespace pinion::start
