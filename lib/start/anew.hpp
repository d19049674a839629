// The program, or `pinion-worker`, started anew: to be a nursery, or a single worker.
#pragma once

#include <sys/types.h>

#include "lib/start/birth.hpp"
#include "lib/start/worker_maker.hpp"

namespace pinion::start {

enum class Role { nursery, worker };

/// Starts it with one end of a socket, by vfork, so that the memory of this process does not count.
/// Returns its pid. Called by: the service thread. Throws `std::system_error`.
pid_t start_anew(Role role, int socket);

/// Whether the program itself can be started anew: it calls `pinion::init`.
[[nodiscard]] bool program_takes_over() noexcept;
/// Throws `StartError` where neither the program nor `pinion-worker` can be started anew.
void require_program();

/// The other side, from `pinion::init`: does not return in a process that was started anew.
void take_over(int argc, char** argv, WorkerMain worker_main);

/// Starts each worker anew.
class Spawner final : public WorkerMaker {
 public:
  Newborn make(Birth birth, const BirthFds& fds, std::int64_t deadline_ns) override;
  [[nodiscard]] int socket() const noexcept override { return -1; }
  void end() noexcept override {}
};

}  // namespace pinion::start
