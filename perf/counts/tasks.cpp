// A program of its own, to be run under strace or callgrind: small tasks, and little else.
//
//   load N       N tasks, a window in flight: what a busy pool does
//   stopped K M  K batches of M tasks. The worker is stopped while a batch is submitted, and its
//                results are taken after it went to sleep again, so neither side ever spins, and
//                the same instructions run every time
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "perf/harness/one_worker.hpp"

// The two that callgrind collects in, by these names.
extern "C" {
[[gnu::noinline]] void perf_submit(pinion::Pool& pool,
                                   std::vector<pinion::AsyncResult<void>>& results,
                                   unsigned tasks) {
  for (unsigned i = 0; i < tasks; ++i) {
    results.push_back(pool.apply_async(pinion::perf::empty_task));
  }
}
[[gnu::noinline]] void perf_take(std::vector<pinion::AsyncResult<void>>& results) {
  for (pinion::AsyncResult<void>& result : results) result.get();
  results.clear();
}
}

namespace pinion::perf {
namespace {

/// As the kernel says: 'R' runs, 'S' sleeps, 'T' is stopped.
char state_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto end_of_name = text.rfind(") ");
  return end_of_name != std::string::npos ? text[end_of_name + 2] : '?';
}

/// Waits until it has been in that state for some looks.
void wait_until(pid_t pid, char state) {
  using namespace std::chrono_literals;
  for (int looks = 0; looks < 4; ++looks) {
    if (state_of(pid) != state) looks = 0;
    std::this_thread::sleep_for(1ms);
  }
}

void load(std::uint64_t tasks) {
  Pool pool(one_worker());
  const Pinned pinned(two_cpus().first);
  run_windowed(pool, 10 * sizes::window);
  run_windowed(pool, tasks);
}

void stopped(unsigned batches, unsigned size) {
  PoolOptions options = one_worker();
  options.idle = Idle::sleep;
  Pool pool(options);
  const pid_t worker = pool.workers().at(0).pid;
  std::cout << worker << std::endl;
  run_windowed(pool, 10 * sizes::window);
  std::vector<AsyncResult<void>> results;
  results.reserve(size);
  for (unsigned batch = 0; batch < batches; ++batch) {
    kill(worker, SIGSTOP);
    wait_until(worker, 'T');
    perf_submit(pool, results, size);
    kill(worker, SIGCONT);
    wait_until(worker, 'S');
    perf_take(results);
  }
}

std::uint32_t number(const char* text) {
  std::uint32_t value = 0;
  std::from_chars(text, text + std::string_view(text).size(), value);
  return value;
}

}  // namespace
}  // namespace pinion::perf

int main(int argc, char** argv) {
  using namespace pinion::perf;
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "load" && argc == 3) {
    load(number(argv[2]));
  } else if (mode == "stopped" && argc == 4) {
    stopped(number(argv[2]), number(argv[3]));
  } else {
    std::cerr << "usage: " << argv[0] << " load N | stopped K M\n";
    return 2;
  }
}
