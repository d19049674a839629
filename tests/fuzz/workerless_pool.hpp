// The manager's side of a pool without processes: everything that reads what workers write, and
// the workers' memory, mapped writable as a worker has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/os/mapping.hpp"
#include "lib/pool/burial.hpp"
#include "lib/pool/collector.hpp"
#include "lib/pool/dispatcher.hpp"
#include "lib/pool/settler.hpp"
#include "lib/pool/state.hpp"
#include "lib/pool/takeback.hpp"
#include "lib/pool/time_limits.hpp"

namespace fuzz {

namespace pool = pinion::pool;
namespace ring = pinion::ring;
namespace shm = pinion::shm;
using pinion::detail::LedgerEntry;

class WorkerlessPool {
  std::unique_ptr<pool::Ledger, pool::Ledger::Discard> ledger_;

 public:
  static constexpr unsigned workers = 2;

  enum class Memory : std::uint8_t {
    tight,   ///< nothing can grow, and the manager cannot touch what is not committed
    growing  ///< some MiB more can be had
  };
  explicit WorkerlessPool(Memory memory);

  /// Workers that are ready, and nothing else. Making all memory anew for each program would take
  /// longer than the program.
  void begin();
  /// Nothing is left but the manager.
  void end();

  pool::State state;
  pool::Settler settler;
  pool::Dispatcher dispatcher;
  pool::Collector collector;
  pool::TakeBack takeback;
  pool::Burial burial;
  pool::TimeLimits limits;

  [[nodiscard]] pool::Lane& lane(unsigned worker) const { return *state.lanes[worker]; }

  /// What `Fleet` does when a process begins, and when it has ended.
  void bear(unsigned worker);
  void bury(unsigned worker);
  /// It says that it is ready.
  void say_ready(unsigned worker);
  /// The worker stores a message where the manager looks next, or behind those already there.
  void push(unsigned worker, const ring::ResultMessage& message);
  /// One worker's results. Looks whether they cost what they may.
  void drain(unsigned worker);
  /// The worker writes into its memory, wherever there is some.
  void store(unsigned worker, std::uint64_t at, const void* from, std::size_t size);
  [[nodiscard]] std::uint64_t results_begin() const {
    return state.arena.worker_layout().results();
  }

  LedgerEntry& submit(std::uint8_t flags, std::size_t argument_bytes,
                      const pinion::TaskOptions* options);
  LedgerEntry& submit_map(std::unique_ptr<pinion::detail::MapJob> job,
                          const pinion::TaskOptions* options);

 private:
  /// A worker's segment, and how the worker maps it.
  struct Memories {
    std::shared_ptr<shm::Segment> ours;
    pinion::os::Mapping theirs;
    std::uint64_t written = 0;  // beyond it are zeros
  };
  struct Worker {
    std::shared_ptr<Memories> memory;
    bool ballast = false;        // it is dead, and its memory still counts
    std::uint64_t produced = 0;  // position of the next message that it pushes
  };
  std::shared_ptr<Memories> make_memory(unsigned worker);

  const Memory memory_;
  std::vector<Worker> workers_;
  std::vector<std::shared_ptr<Memories>> made_;  // to be used again
};

/// Ends the process and says why: a finding.
[[noreturn]] void found(const char* what);

}  // namespace fuzz
