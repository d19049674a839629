// The manager's side of one worker: its rings, its flights, its process.
//
// Called with the pool's lock held, but for `has_results`, which belongs to the collector's owner.
#pragma once

#include <pinion/info.hpp>
#include <pinion/kinds.hpp>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lib/os/clock.hpp"
#include "lib/os/fd.hpp"
#include "lib/os/pidfd.hpp"
#include "lib/pool/backlog.hpp"
#include "lib/pool/flight.hpp"
#include "lib/shm/arena_layout.hpp"
#include "lib/shm/block_range.hpp"
#include "lib/start/local_worker.hpp"
#include "lib/topology/cpu_set.hpp"

namespace pinion::pool {

/// A place in the arena for a worker's ring, what the manager says to it, and its bell.
struct Seat {
  bool taken = false;
  std::uint64_t position = 0;  // task positions below it have been used here
};

struct Lane {
  enum class State : std::uint8_t {
    none,      // no process
    starting,  // born, not ready
    ready,
    leaving,  // told to leave
    killed,   // SIGKILL was sent, or will be as soon as it is born; a thread was told to end
  };

  unsigned index = 0;
  unsigned seat = 0;
  std::atomic<State> state{State::none};  // written with the lock held
  std::uint32_t generation = 0;

  shm::TaskRing::Producer tasks;
  shm::ResultRing::Consumer results;
  std::optional<ring::ResultMessage> unhandled;  // taken, and memory was short: the next to handle
  ring::ManagerLine* line = nullptr;
  ring::Verdict* verdicts = nullptr;
  std::shared_ptr<shm::Segment> segment;  // of this generation
  std::uint64_t results_begin = 0;        // in it: where result blocks may lie
  ring::Bell bell;                        // the worker's
  ring::Fencing fencing = ring::Fencing::symmetric;

  Backlog bound;  // what waits for this worker and no other

  std::vector<Flight> flights;
  std::vector<std::uint16_t> free_flights;
  std::atomic<std::uint32_t> outstanding{0};  // flights in use; written with the lock held
  std::uint32_t timed = 0;                    // of them, with a limit
  std::uint64_t quota = no_quota;             // items that it may still be given
  bool retiring = false;                      // it is given nothing more
  bool retired = false;                       // it was told to leave, to be replaced
  std::uint32_t depth = depth_start;
  std::uint32_t task_ns = 0;       // measured cost of a task; 0: not known
  std::atomic<bool> woken{false};  // the last push had to wake it
  bool pushed = false;             // something was pushed since its bell was rung
  bool urgent = false;             // of that, a control message
  std::int64_t progress_ns = 0;  // when it last answered, with more to do; 0: not since it was idle
  std::deque<std::uint64_t> controls;  // positions of control messages not yet read
  std::deque<ring::TaskMessage> controls_waiting;
  std::vector<std::uint64_t> give_backs;  // result blocks to be given back
  std::vector<LedgerEntry*> kept;         // whose results lie in the segment

  pid_t pid = 0;
  os::Fd pidfd;
  std::shared_ptr<start::LocalWorker> local;  // null: it is a process
  std::vector<ring::BlockRef> held;  // arguments that the thread may still read, once abandoned
  bool watched = false;              // by the service thread
  os::Fd eventfd;                    // of all generations on this seat
  topology::CpuSet cpus;
  int numa_node = -1;
  int memory_node = -1;                // where its segment begins, as the kernel says
  std::string memory_reason;           // why there
  int only_cpu = -1;                   // where it is bound to one
  std::int64_t start_deadline_ns = 0;  // when it must be ready; of one that leaves, gone
  std::int64_t respawn_ns = 0;         // when there is no process: when the next one is made
  std::uint64_t birth_position = 0;
  std::uint64_t tasks_done = 0;
  std::uint64_t past_stalls = 0;  // of the generations that are gone
  std::string culprit;            // what it was killed for
  bool abandoned = false;         // it was killed and did not end
  bool was_ready = false;         // this generation
  bool late = false;              // it was killed at its start limit
  std::int64_t killed_ns = 0;     // when SIGKILL was sent first; 0: it was not
  std::int64_t give_up_ns = 0;    // when it is looked at whether it can die
  std::uint64_t oom_kills = 0;    // of the cgroup, when it was made
  std::string oom_text;           // it was killed, and the OOM killer has struck since
  bool breach = false;
  bool initializing = false;           // it died in its initializer
  bool start_failed = false;           // its initializer threw
  std::vector<std::byte> start_error;  // what

  static constexpr std::uint64_t no_quota = ~std::uint64_t{0};
  static constexpr std::uint32_t depth_start = 4;
  static constexpr std::uint32_t depth_ns = 20'000;         // work that a worker is given ahead
  static constexpr std::uint32_t depth_woken_ns = 100'000;  // where it sleeps between

  [[nodiscard]] bool takes_tasks() const noexcept { return state == State::ready; }
  [[nodiscard]] bool alive() const noexcept { return state != State::none; }
  [[nodiscard]] bool has_results() const noexcept { return results.ready() || unhandled; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept {
    return outstanding.load(std::memory_order_relaxed);
  }
  void set_in_flight(std::uint32_t n) noexcept { outstanding.store(n, std::memory_order_relaxed); }
  [[nodiscard]] bool has_room() const noexcept {
    return in_flight() < depth && !free_flights.empty() && quota != 0 && !retiring;
  }

  [[nodiscard]] const ring::WorkerLine& worker_line() const noexcept {
    return *reinterpret_cast<const ring::WorkerLine*>(segment->begin() + shm::WorkerLayout::line);
  }
  [[nodiscard]] const shm::WorkerNote& note() const noexcept {
    return *reinterpret_cast<const shm::WorkerNote*>(segment->begin() + shm::WorkerLayout::note);
  }
  [[nodiscard]] const shm::WorkerFlight& worker_flight(std::uint16_t flight) const noexcept {
    return reinterpret_cast<const shm::WorkerFlight*>(segment->begin() +
                                                      shm::WorkerLayout::flights)[flight];
  }

  [[nodiscard]] bool in_initializer() const noexcept {
    return segment && note().initializing.load(std::memory_order_acquire) == 1;
  }

  /// `bytes` at `offset` of the worker's segment, if they lie in what is committed; else null.
  [[nodiscard]] const std::byte* checked(std::uint64_t offset, std::uint64_t bytes) const noexcept {
    const bool within = shm::lies_within(offset, bytes, results_begin, segment->committed());
    return within ? segment->begin() + offset : nullptr;
  }

  /// Its process is to end now. It is given nothing more. A thread ends when what runs has ended:
  /// nothing more starts in it.
  void kill() noexcept {
    if (killed_ns == 0) killed_ns = os::now_ns();
    state = State::killed;
    if (local != nullptr) {
      line->revoked_end.store(ring::revoked_all, std::memory_order_release);
      ring::rare_barrier(fencing);  // EDGE claim
      bell.ring(true);
      local->told_to_end();
    } else if (pidfd) {
      os::send_signal(pidfd.get(), SIGKILL);
    }
  }
  /// It was told to end, and does not run to the end of what it has.
  [[nodiscard]] bool winds_up() const noexcept {
    return local != nullptr && state == State::killed;
  }
  /// Its status, once it has ended; then it is reaped.
  [[nodiscard]] std::optional<ExitStatus> reap() const noexcept {
    return local != nullptr ? local->reap() : os::reap(pidfd.get());
  }
  /// What a task threw, where it is a thread that says so: the object itself.
  [[nodiscard]] std::exception_ptr original(std::span<const std::byte> bytes) const noexcept {
    return local != nullptr ? local->errors().find(bytes) : nullptr;
  }
  void drop_original(std::span<const std::byte> bytes) const noexcept {
    if (local != nullptr) local->errors().drop(bytes);
  }

  void reset_flights(std::uint32_t count) {
    flights.assign(count, Flight{});
    free_flights.clear();
    for (std::size_t i = count; i-- > 0;) {
      free_flights.push_back(static_cast<std::uint16_t>(i));
    }
    outstanding = 0;
    timed = 0;
    progress_ns = 0;
    controls.clear();
    controls_waiting.clear();
    give_backs.clear();
    unhandled.reset();
    kept.clear();
    depth = depth_start;
    task_ns = 0;
    quota = no_quota;
    retiring = retired = false;
    abandoned = was_ready = late = false;
    killed_ns = give_up_ns = 0;
    culprit.clear();
    oom_text.clear();
    breach = start_failed = false;
    start_error.clear();
  }

  [[nodiscard]] std::uint64_t stalls() const noexcept {
    return past_stalls + (segment ? note().stalls.load(std::memory_order_relaxed) : 0);
  }

  /// What the worker says of its event loop. It wrote the text: only what can be shown is taken.
  void read_note(WorkerInfo& info) const {
    info.longest_stall =
        std::chrono::nanoseconds(note().longest_stall_ns.load(std::memory_order_relaxed));
    const auto backend = note().backend.load(std::memory_order_acquire);
    if (backend == 0) return;
    info.io_backend = backend == static_cast<std::uint32_t>(IoBackend::uring) ? "uring" : "poll";
    for (const char c : note().reason) {
      if (c == '\0') break;
      info.io_reason.push_back(c >= ' ' && c <= '~' ? c : '?');
    }
  }

  /// A measured cost: up at once, down slowly, so that one long task stops the heaping up.
  void learn_cost(std::uint32_t ns, std::uint32_t depth_min) noexcept {
    if (ns == 0) return;
    task_ns = task_ns == 0 || ns > task_ns ? ns : task_ns - (task_ns - ns) / 4;
    const std::uint32_t work = woken.load(std::memory_order_relaxed) ? depth_woken_ns : depth_ns;
    const std::uint32_t n = work / (task_ns == 0 ? 1 : task_ns);
    depth = std::max(depth_min, std::min(n, static_cast<std::uint32_t>(flights.size())));
  }
};

}  // namespace pinion::pool
