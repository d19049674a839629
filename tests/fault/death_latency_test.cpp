// P4: a death is seen by event, not by heartbeat. From the kill to the failed future, and to the
// successor that is ready, with the machine's own latency measured in between.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>

#include "tests/contract/checks.hpp"
#include "tests/fault/shared.hpp"
#include "tests/fault/workers.hpp"

using namespace checks;
using pinion::WorkerLost;

namespace {

constexpr int kills = 200;
constexpr double limit_ms = 10;
/// Where the machine itself takes so long to tell of a plain child's death, nothing can be said: a
/// pool has several threads and processes to wake, where that has one, and each waits for its core.
constexpr double machine_limit_ms = 2;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

struct Times {
  std::vector<double> ms;
  [[nodiscard]] double at(double share) {
    std::sort(ms.begin(), ms.end());
    const auto i = static_cast<std::size_t>(share * static_cast<double>(ms.size()));
    return ms.at(std::min(i, ms.size() - 1));
  }
  void print(const char* what) {
    std::printf("  %-34s p50 %7.3f ms, p99 %7.3f ms, worst %7.3f ms\n", what, at(0.5), at(0.99),
                at(1));
  }
};

/// A plain child that waits in the kernel, its pidfd, and poll: no pool has less to do.
double plain_child_ms() {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    for (;;) ::pause();
  }
  const Target target(pid);
  std::this_thread::sleep_for(200us);
  const auto begin = Clock::now();
  REQUIRE(target.send(SIGKILL));
  REQUIRE(target.ends(20s));
  const double ms = ms_since(begin);
  ::waitpid(pid, nullptr, 0);
  return ms;
}

/// Waits without taking a core from those who are waited for.
template <class Reached>
double ms_until(Clock::time_point begin, Reached reached) {
  while (!reached()) {
    if (Clock::now() - begin > 20s) break;
    std::this_thread::sleep_for(50us);
  }
  return ms_since(begin);
}

struct Batch {
  Times machine;
  Times seen;      // the kill of an idle worker, in the pool's own account
  Times replaced;  // until its successor is ready
  Times failed;    // the kill of a worker in a task, until a waiter has the WorkerLost
  Times next;      // until its successor is ready

  /// What holds for a machine that tells of deaths in time.
  [[nodiscard]] bool in_time() { return seen.at(0.99) <= limit_ms && failed.at(0.99) <= limit_ms; }
  [[nodiscard]] bool machine_is_slow() { return machine.at(0.99) > machine_limit_ms; }
  void print() {
    std::printf("after %zu kills:\n", failed.ms.size());
    machine.print("this machine, a plain child");
    seen.print("idle worker: death counted");
    replaced.print("idle worker: successor ready");
    failed.print("worker in a task: future failed");
    next.print("worker in a task: successor ready");
  }
};

const Shared<std::atomic<pid_t>> sleeper;
int sleep_long(int ms) {
  *sleeper = ::getpid();
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}

Batch measure() {
  Batch batch;
  CheckedPool pool(2);
  std::uint64_t deaths = 0;
  for (int i = 0; i < kills; ++i) {
    batch.machine.ms.push_back(plain_child_ms());
    if (i == 50 && batch.machine.at(0.9) > machine_limit_ms) break;  // nothing will come of it
    {
      const auto all = pids(pool);
      const Target target(all.at(static_cast<std::size_t>(i) % all.size()));
      const auto begin = Clock::now();
      REQUIRE(target.send(SIGKILL));
      ++deaths;
      batch.seen.ms.push_back(ms_until(begin, [&] { return pool.stats().deaths == deaths; }));
      batch.replaced.ms.push_back(
          ms_until(begin, [&] { return pool.stats().respawns == deaths && all_ready(pool); }));
    }
    {
      *sleeper = 0;
      const auto result = pool.apply_async(sleep_long, 30000);
      REQUIRE(eventually([] { return *sleeper != 0; }));
      const Target target(*sleeper);
      const auto begin = Clock::now();
      REQUIRE(target.send(SIGKILL));
      ++deaths;
      CHECK_THROWS_AS(result.get(20s), WorkerLost);
      batch.failed.ms.push_back(ms_since(begin));
      batch.next.ms.push_back(
          ms_until(begin, [&] { return pool.stats().respawns == deaths && all_ready(pool); }));
    }
  }
  CHECK(pool.stats().deaths == deaths);
  return batch;
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft, "a death is seen, and its task told, within 10 ms") {
  // The median of three batches, of which two that agree decide.
  int in_time = 0;
  int late = 0;
  while (in_time < 2 && late < 2) {
    Batch one = measure();
    one.print();
    if (one.in_time()) {
      ++in_time;
    } else if (one.machine_is_slow()) {  // the promise is made for an idle one
      skip("this machine takes more than " + std::to_string(static_cast<int>(machine_limit_ms)) +
           " ms to tell of a plain child's death");
      return;
    } else {
      ++late;
    }
  }
  CHECK(in_time == 2);
}
