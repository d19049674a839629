// A pool of two is made, runs two tasks, and ends: by each start method, and for those that start
// the program anew also with 4 GiB of touched memory in it. The topology is loaded before; a
// command that does little but load it stands beside them.
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include <array>
#include <cstddef>
#include <cstdlib>

#include "perf/harness/child.hpp"
#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"
#include "perf/harness/spin.hpp"

namespace pinion::perf {
namespace {

void make_use_and_end(StartMethod method) {
  PoolOptions options;
  options.processes = sizes::start_workers;
  options.start_method = method;
  Pool pool(options);
  std::array<AsyncResult<void>, sizes::start_workers> results;
  for (auto& result : results) result = pool.apply_async(empty_task);
  for (auto& result : results) result.get();
}

Sample pools(StartMethod method) {
  static const TopologyReport loaded = describe_topology();  // once for a process
  const auto start = Clock::now();
  for (unsigned i = 0; i < sizes::start_pools; ++i) make_use_and_end(method);
  return {seconds_since(start), sizes::start_pools};
}

/// Memory that was written to, as a program has it that computes.
class Touched {
 public:
  Touched() {
    struct sysinfo machine {};
    if (sysinfo(&machine) != 0 || machine.freeram * machine.mem_unit < 2 * sizes::touched_bytes) {
      throw Skip("8 GiB of free memory are needed");
    }
    memory_ = mmap(nullptr, sizes::touched_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory_ == MAP_FAILED) throw Skip("4 GiB cannot be mapped");
  }
  ~Touched() { munmap(memory_, sizes::touched_bytes); }
  Touched(const Touched&) = delete;
  Touched& operator=(const Touched&) = delete;

 private:
  void* memory_;
};

Sample large_pools(StartMethod method) {
  const Touched touched;
  return pools(method);
}

Sample load_topology() {
  const char* command = std::getenv("PINION_COMMAND");
  const auto start = Clock::now();
  output_of({command != nullptr ? command : "pinion", "topo"});
  return {seconds_since(start), 1};
}

const Contestant by_fork{"start/fork", [] { return pools(StartMethod::fork); }};
const Contestant by_forkserver{"start/forkserver", [] { return pools(StartMethod::forkserver); }};
const Contestant by_spawn{"start/spawn", [] { return pools(StartMethod::spawn); }};
const Contestant by_thread{"start/thread", [] { return pools(StartMethod::thread); }};
const Contestant large_forkserver{"start/forkserver_4gib",
                                  [] { return large_pools(StartMethod::forkserver); }};
const Contestant large_spawn{"start/spawn_4gib", [] { return large_pools(StartMethod::spawn); }};
const Contestant topology_load{"start/topology", load_topology};

}  // namespace
}  // namespace pinion::perf
