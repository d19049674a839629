// A program of its own: what an idle pool of two workers costs. Prints the CPU time of the manager
// and its workers, in per cent of the wall time.
#include <time.h>

#include <charconv>
#include <chrono>
#include <iostream>
#include <string_view>
#include <thread>

#include "perf/harness/one_worker.hpp"
#include "perf/harness/spin.hpp"

namespace pinion::perf {
namespace {

double cpu_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double cpu_seconds(const Pool& pool) {
  double sum = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
  for (const WorkerInfo& worker : pool.workers()) {
    clockid_t clock{};
    if (clock_getcpuclockid(worker.pid, &clock) == 0) sum += cpu_seconds(clock);
  }
  return sum;
}

int run(unsigned seconds) {
  Pool pool(2);
  run_windowed(pool, sizes::async_tasks / 10);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // until all have gone to sleep
  const auto start = Clock::now();
  const double before = cpu_seconds(pool);
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  const double used = cpu_seconds(pool) - before;
  std::cout << 100 * used / seconds_since(start) << '\n';
  return 0;
}

}  // namespace
}  // namespace pinion::perf

int main(int argc, char** argv) {
  unsigned seconds = 10;
  if (argc == 2) std::from_chars(argv[1], argv[1] + std::string_view(argv[1]).size(), seconds);
  return pinion::perf::run(seconds);
}
