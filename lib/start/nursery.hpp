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
#include "lib/start/worker_maker.hpp"

namespace pinion::start {

class Nursery final : public WorkerMaker {
 public:
  /// Forks the nursery. Throws `std::system_error`.
  explicit Nursery(WorkerMain worker_main);
  /// Starts it anew: the start method forkserver. Throws `std::system_error`.
  Nursery();
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;
  ~Nursery() override { end_now(); }

  Newborn make(Birth birth, const BirthFds& fds, std::int64_t deadline_ns) override;

  /// Nobody else has the other end.
  [[nodiscard]] int socket() const noexcept override { return socket_.get(); }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// At once, if it has not ended, and reaps it.
  void end() noexcept override { end_now(); }
  /// Ends and reaps workers whose birth was never told, because the nursery died or an answer was
  /// not received. Called by: the service thread, when all other workers are gone.
  static void reap_lost() noexcept;

 private:
  void end_now() noexcept;

  pid_t pid_ = 0;
  std::uint64_t orders_ = 0;
  os::Fd socket_;
};

/// What the nursery does, until its manager hangs up.
[[noreturn]] void be_nursery(WorkerMain worker_main, int socket, pid_t manager);

}  // namespace pinion::start
