// Which worker gets a task.
#include <doctest/doctest.h>

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::Scheduler;
using pinion::WorkerLoad;

namespace {

unsigned index_here() { return pinion::this_worker::index(); }
unsigned index_after(const std::string& started) {
  std::ofstream(started).put('x');
  std::this_thread::sleep_for(100ms);
  return pinion::this_worker::index();
}

unsigned last_of(std::span<const WorkerLoad> loads) noexcept {
  return static_cast<unsigned>(loads.size()) - 1;
}

}  // namespace

TEST_CASE("round robin gives tasks to each worker in turn, although the first is idle") {
  CheckedPool pool(PoolOptions{.processes = 3, .scheduler = Scheduler::round_robin()});
  // By the default the third would get nothing. A worker that is not given the time to begin loses
  // its task to an idle one.
  std::map<unsigned, int> counts;
  CHECK(eventually([&] {
    for (int i = 0; i < 30; ++i) ++counts[pool.apply(index_here)];
    return counts[0] > 2 && counts[1] > 2 && counts[2] > 2;
  }));
}

TEST_CASE("the default prefers a worker that is idle") {
  if (left_out("there is nobody else", runs_in_place())) return;
  char started[] = "/tmp/pinion-test-XXXXXX";
  ::close(::mkstemp(started));
  CheckedPool pool(PoolOptions{.processes = 2});
  auto busy = pool.apply_async(index_after, started);
  CHECK(eventually([&] { return std::filesystem::file_size(started) != 0; }));
  std::vector<unsigned> others;
  for (int i = 0; i < 20; ++i) others.push_back(pool.apply(index_here));
  const bool still_busy = !busy.ready();
  for (const unsigned other : others) {
    if (still_busy) CHECK(other != busy.get());
  }
  ::unlink(started);
}

TEST_CASE("a function of the user's chooses among those that have room") {
  CheckedPool pool(PoolOptions{.processes = 3, .scheduler = last_of});
  for (int i = 0; i < 20; ++i) CHECK(pool.apply(index_here) == 2);
  const auto seen = pool.map([](int) { return index_here(); }, numbers(100), 1);
  CHECK(seen.size() == 100);
}

TEST_CASE("a user's scheduler is shown workers in order, with what they have to do") {
  struct Seen {
    std::atomic<unsigned> calls{0};
    std::atomic<bool> in_order{true};
    std::atomic<unsigned> most_tasks{0};
  };
  Seen seen;
  const auto look = [&seen](std::span<const WorkerLoad> loads) noexcept -> unsigned {
    ++seen.calls;
    for (std::size_t i = 0; i < loads.size(); ++i) {
      if (loads[i].worker >= 2 || (i > 0 && loads[i].worker <= loads[i - 1].worker)) {
        seen.in_order = false;
      }
      seen.most_tasks = std::max(seen.most_tasks.load(), loads[i].tasks);
    }
    return seen.calls * 1000 + 7;  // beyond their number: it wraps round
  };
  CheckedPool pool(PoolOptions{.processes = 2, .scheduler = look});
  std::vector<pinion::AsyncResult<unsigned>> results;
  for (int i = 0; i < 30; ++i) {
    results.push_back(pool.apply_async([] {
      std::this_thread::sleep_for(1ms);
      return index_here();
    }));
  }
  for (auto& result : results) CHECK(result.get() < 2);
  CHECK(seen.calls >= 30);
  CHECK(seen.in_order);
  if (!runs_in_place()) CHECK(seen.most_tasks >= 1);
}

TEST_CASE("a task bound to a worker is not the scheduler's") {
  CheckedPool pool(PoolOptions{.processes = 3, .scheduler = last_of});
  for (unsigned worker = 0; worker < 3; ++worker) {
    CHECK(pool.apply(pinion::TaskOptions{.worker = worker}, index_here) == worker);
  }
}
