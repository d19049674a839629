// What a worker is told at birth, and the descriptors that come with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <type_traits>

namespace pinion::start {

/// A worker may be bound to CPUs below this number: all that a set of them can name.
inline constexpr unsigned cpus_max = 16'384;

/// A call of an option, which each worker makes: its code, and its arguments in the manager's
/// segment.
struct KeptCall {
  bool present = false;
  std::uint64_t code = 0;  // packed CodeToken
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// The order for one worker. Plain data: it travels to the nursery, later to a new program.
struct Birth {
  std::uint64_t order = 0;  // set by the nursery's handle: the answer names it
  std::uint64_t pool = 0;   // the pool's random number: both sides compare it
  pid_t manager = 0;
  std::uint32_t worker = 0;
  std::uint32_t generation = 0;
  std::uint32_t workers = 0;  // of the pool
  std::uint64_t task_position = 0;
  std::uint64_t result_position = 0;
  std::uint32_t ring_slots = 0;  // with `flights`: shm::Capacity
  std::uint32_t flights = 0;
  std::uint32_t child_concurrency = 0;
  std::uint8_t idle = 0;        // pinion::Idle
  std::uint8_t io = 0;          // pinion::IoBackend
  std::uint8_t crowded = 0;     // more workers than cores: nobody spins
  std::uint8_t asymmetric = 0;  // bells may use membarrier
  std::uint8_t bound = 0;       // whether `cpus` says anything
  std::int32_t numa_node = -1;
  KeptCall initializer;
  KeptCall finalizer;
  KeptCall exception_handler;
  std::uint64_t max_rss = 0;  // bytes; 0: no limit
  std::int64_t spin_ns = 0;
  std::int64_t stall_ns = 0;               // longer is a stall
  std::uint64_t cpus[cpus_max / 64] = {};  // bit b of word w: CPU 64 w + b
};
static_assert(std::is_trivially_copyable_v<Birth>);

/// In the order in which they are passed.
enum BirthFd : unsigned {
  manager_segment_fd,
  worker_segment_fd,
  bell_segment_fd,
  manager_eventfd,
  worker_eventfd,
  birth_fds
};

struct BirthFds {
  int fd[birth_fds];
};

/// The worker's main function (floor 5); what it returns is the exit code.
using WorkerMain = int (*)(const Birth&, const BirthFds&);

}  // namespace pinion::start
