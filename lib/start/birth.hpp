// What a worker is told at birth, and the descriptors that come with it.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "lib/shm/segment.hpp"
#include "lib/start/original_errors.hpp"

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
  std::uint32_t seat = 0;   // where its rings and its bell lie
  std::uint32_t seats = 0;  // of the pool
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
  std::uint8_t forked = 0;      // by a child of the manager: it has the manager's array memory
  std::int32_t numa_node = -1;
  KeptCall initializer;
  KeptCall finalizer;
  KeptCall exception_handler;
  std::uint64_t max_rss = 0;  // bytes; 0: no limit
  std::int64_t spin_ns = 0;
  std::int64_t stall_ns = 0;       // longer is a stall
  std::uint64_t array_memory = 0;  // the manager's address of it
  std::uint64_t array_memory_bytes = 0;
  std::uint64_t cpus[cpus_max / 64] = {};  // bit b of word w: CPU 64 w + b
};
static_assert(std::is_trivially_copyable_v<Birth>);

/// In the order in which they are passed.
enum BirthFd : unsigned {
  manager_segment_fd,
  worker_segment_fd,
  bell_segment_fd,
  array_memory_fd,
  manager_eventfd,  // the service thread's
  bell_eventfd,     // the manager's bell
  worker_eventfd,
  birth_fds
};

/// The segments as they are mapped already: a worker in this process shares them, and keeps them.
struct BirthMemory {
  std::shared_ptr<shm::Segment> manager;
  std::shared_ptr<shm::Segment> own;
  std::shared_ptr<shm::Segment> bells;
  std::shared_ptr<void> arrays;  // a pool::Arrays, of a floor above
};

struct BirthFds {
  int fd[birth_fds];
  const BirthMemory* memory = nullptr;  // for workers in this process
};

/// What a worker in this process has. Stays where it is for as long as the worker runs.
struct LocalHome {
  BirthMemory memory;
  int manager_eventfd = -1;
  int bell_eventfd = -1;
  int own_eventfd = -1;
  bool has_thread = false;  // of its own
  OriginalErrors errors;
};

/// The worker's main function (floor 5); what it returns is the exit code.
using WorkerMain = int (*)(const Birth&, const BirthFds&);
/// The same for a thread.
using LocalMain = int (*)(const Birth&, LocalHome&);

/// A worker without a thread of its own (floor 5).
class Guest {
 public:
  enum class Outcome {
    nothing,  ///< there was nothing to do
    worked,
    over,  ///< it has left, or could not start
  };
  virtual ~Guest() = default;
  /// In the calling thread, until nothing is left to do.
  virtual Outcome run() = 0;
};
using GuestMaker = std::unique_ptr<Guest> (*)(const Birth&, LocalHome&);

/// What workers run.
struct WorkerCode {
  WorkerMain process = nullptr;
  LocalMain thread = nullptr;
  GuestMaker guest = nullptr;
  sigset_t signals{};  // that threads block: those of the pool's maker
};

}  // namespace pinion::start
