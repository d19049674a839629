// Several ends for one task at the same moment: a value, an error, a cancel, a time limit, a death,
// the pool's end. One of them counts, once, and what it says is true. And the edges below: bells,
// take-back against claim, results of the dead, positions far beyond the ring.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <csignal>
#include <memory>
#include <thread>

#include "fault/manager_process.hpp"
#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::AsyncResult;
using pinion::Cancelled;
using pinion::Idle;
using pinion::Pool;
using pinion::PoolOptions;
using pinion::TaskOptions;

namespace {

constexpr std::size_t tasks_max = 1 << 16;

struct Counters {
  std::array<std::atomic<std::uint8_t>, tasks_max> begun{};
  std::array<std::atomic<std::uint8_t>, tasks_max> ended{};
  std::atomic<int> total{0};

  void clear() {
    for (auto& n : begun) n = 0;
    for (auto& n : ended) n = 0;
    total = 0;
  }
};
SharedPage<Counters> counters;

int value_of(int task) { return task * 7 + 3; }

void compute(int us) {
  const auto until = Clock::now() + std::chrono::microseconds(us);
  while (Clock::now() < until) {
  }
}
int plain(int task, int us) {
  ++counters->begun[std::size_t(task)];
  compute(us);
  ++counters->ended[std::size_t(task)];
  return value_of(task);
}
int fails(int task, int us) {
  ++counters->begun[std::size_t(task)];
  compute(us);
  ++counters->ended[std::size_t(task)];
  throw std::out_of_range("mine");
}
pinion::Task<int> coroutine(int task, int us) {
  ++counters->begun[std::size_t(task)];
  co_await pinion::sleep_for(std::chrono::microseconds(us));
  ++counters->ended[std::size_t(task)];
  co_return value_of(task);
}
int quick(int task) {
  ++counters->begun[std::size_t(task)];
  ++counters->total;
  return value_of(task);
}

/// How a task ended.
enum class End { value, own_error, cancelled, timed_out, lost, terminated, other };

End end_of(const AsyncResult<int>& result, int task) {
  try {
    return result.get() == value_of(task) ? End::value : End::other;
  } catch (const std::out_of_range&) {
    return End::own_error;
  } catch (const Cancelled&) {
    return End::cancelled;
  } catch (const pinion::TaskTimeout&) {
    return End::timed_out;
  } catch (const pinion::WorkerLost&) {
    return End::lost;
  } catch (const pinion::PoolTerminated&) {
    return End::terminated;
  } catch (...) {
    return End::other;
  }
}

void kill_one(const Pool& pool, std::uint64_t which) {
  const auto workers = pool.workers();
  const auto& worker = workers[which % workers.size()];
  if (worker.pid != 0) ::kill(worker.pid, SIGKILL);
}

using Clocks = std::chrono::microseconds;

}  // namespace

TEST_CASE_FIXTURE(NothingLeft,
                  "cancel, time limit, death, the pool's end and the task's own end, all at once") {
  auto random = seeded();
  int ends[7] = {};
  constexpr int tasks = 60;
  const auto stop_at = Clock::now() + 12s;
  int rounds = 0;
  for (; rounds < 60 && Clock::now() < stop_at; ++rounds) {
    counters->clear();
    std::array<std::atomic<int>, tasks> called{};
    std::array<std::atomic<bool>, tasks> said{};
    {
      CheckedPool pool(PoolOptions{.processes = 2, .child_concurrency = 4});
      std::vector<AsyncResult<int>> results(tasks);
      std::atomic<int> submitted{0};
      std::atomic<bool> over{false};
      std::mt19937_64 mine(random());
      std::thread canceller([&, r = std::mt19937_64(random())]() mutable {
        while (!over) {
          const int n = submitted.load(std::memory_order_acquire);
          if (n > 0) {
            const auto i = std::size_t(n - 1) - r() % std::min(std::size_t(n), std::size_t{6});
            if (results[i].cancel()) said[i] = true;
          }
          std::this_thread::sleep_for(Clocks(r() % 300));
        }
      });
      std::thread killer([&, r = std::mt19937_64(random())]() mutable {
        while (!over) {
          std::this_thread::sleep_for(Clocks(r() % 4000));
          kill_one(pool, r());
        }
      });
      bool refused = false;
      const auto end_at = Clock::now() + Clocks(random() % 40000);
      for (int i = 0; i < tasks; ++i) {
        const int us = static_cast<int>(mine() % 400);
        TaskOptions options;
        if (mine() % 2 == 0) {
          options.timeout = Clocks(std::max(1, us - 100 + static_cast<int>(mine() % 200)));
          options.grace = Clocks(mine() % 300);
        }
        const auto kind = mine() % 5;
        const auto k = std::size_t(i);
        try {
          results[k] = kind == 0   ? pool.apply_async(options, fails, i, us)
                       : kind <= 2 ? pool.apply_async(options, coroutine, i, us)
                                   : pool.apply_async(options, plain, i, us);
        } catch (const pinion::PoolClosed&) {
          refused = true;
          break;
        }
        results[k].on_success([&, k](int) { ++called[k]; });
        results[k].on_error([&, k](std::exception_ptr) { ++called[k]; });
        submitted.store(i + 1, std::memory_order_release);
        if (Clock::now() > end_at && !refused) {
          pool.terminate();
          refused = true;
        }
        if (mine() % 4 == 0) std::this_thread::sleep_for(Clocks(mine() % 500));
      }
      const int n = submitted;
      for (int i = 0; i < n; ++i) CHECK(results[std::size_t(i)].wait(20s));
      over = true;
      canceller.join();
      killer.join();
      for (int i = 0; i < n; ++i) {
        CAPTURE(i);
        const auto k = std::size_t(i);
        const End end = end_of(results[k], i);
        ++ends[int(end)];
        REQUIRE(end == end_of(results[k], i));  // and stays so
        REQUIRE(end != End::other);
        REQUIRE(counters->begun[k] <= 1);  // at most once
        if (end == End::value || end == End::own_error) REQUIRE(counters->ended[k] == 1);
        if (said[k]) {
          REQUIRE(end == End::cancelled);
          REQUIRE(counters->begun[k] == 0);
        }
      }
      const auto stats = pool.stats();
      CHECK(stats.accepted == static_cast<std::uint64_t>(n));
      CHECK(stats.completed + stats.failed == stats.accepted);
      check_rest(pool);
      results.clear();
      pool.terminate();
      pool.join();
      for (int i = 0; i < n; ++i) REQUIRE(called[std::size_t(i)] == 1);
      // What was cancelled stays unstarted to the end.
      for (int i = 0; i < n; ++i) {
        if (said[std::size_t(i)]) REQUIRE(counters->begun[std::size_t(i)] == 0);
      }
    }
  }
  std::printf(
      "%d pools: %d values, %d own errors, %d cancelled, %d timed out, %d lost, "
      "%d terminated\n",
      rounds, ends[0], ends[1], ends[2], ends[3], ends[4], ends[5]);
  CHECK(ends[int(End::value)] > 0);
  CHECK(ends[int(End::cancelled)] > 0);
  CHECK(ends[int(End::lost)] > 0);
  CHECK(ends[int(End::own_error)] > 0);
  CHECK(ends[int(End::timed_out)] > 0);
  CHECK(ends[int(End::terminated)] > 0);
}

TEST_CASE_FIXTURE(NothingLeft, "what was cancelled never ran, what was not ran once") {
  auto random = seeded();
  CheckedPool pool(2);
  int cancelled = 0;
  constexpr int tasks = 20000;
  counters->clear();
  int next = 0;
  while (next < tasks) {
    std::vector<AsyncResult<int>> results;
    const int first = next;
    const int burst = std::min(tasks - next, 1 + static_cast<int>(random() % 60));
    for (int i = 0; i < burst; ++i) results.push_back(pool.apply_async(quick, next++));
    std::vector<bool> said(results.size());
    // From the back, where take-back and claim meet in the middle.
    for (std::size_t i = results.size(); i-- > 0;) {
      if (random() % 3 != 0) said[i] = results[i].cancel();
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      const int task = first + static_cast<int>(i);
      const End end = end_of(results[i], task);
      REQUIRE((end == End::value || end == End::cancelled));
      // One that may have started when it was cancelled, and has not, ends so without our being
      // told.
      if (said[i]) REQUIRE(end == End::cancelled);
      REQUIRE(counters->begun[std::size_t(task)] == (end == End::value ? 1 : 0));
      cancelled += end == End::cancelled;
    }
  }
  for (int i = 0; i < tasks; ++i) REQUIRE(counters->begun[std::size_t(i)] <= 1);
  CHECK(counters->total == tasks - cancelled);
  CHECK(cancelled > 0);
  std::printf("%d of %d cancelled\n", cancelled, tasks);
}

TEST_CASE_FIXTURE(NothingLeft, "bells: bursts with pauses about as long as one looks for work") {
  auto random = seeded();
  for (const Idle idle : {Idle::adaptive, Idle::sleep, Idle::spin}) {
    CAPTURE(int(idle));
    NothingLeft nothing;
    CheckedPool pool(PoolOptions{.processes = 2, .child_concurrency = 4, .idle = idle});
    const auto end = Clock::now() + 1500ms;
    std::atomic<int> called{0};
    int expected = 0;
    int bursts = 0;
    auto longest = Clock::duration::zero();
    for (; Clock::now() < end; ++bursts) {
      const auto begin = Clock::now();
      std::vector<AsyncResult<int>> results;
      for (auto n = 1 + random() % 8; n > 0; --n) {
        results.push_back(random() % 6 == 0
                              ? pool.apply_async(coroutine, int(n), int(random() % 90))
                              : pool.apply_async(quick, int(n)));
        if (random() % 3 == 0) compute(static_cast<int>(random() % 120));
      }
      const auto& last = results.back();
      switch (random() % 4) {
        case 0:
          last.on_success([&](int) { ++called; });
          ++expected;
          break;
        case 1:
          while (!last.wait(Clocks(random() % 120))) {
          }
          break;
        case 2:
          while (!last.ready()) compute(static_cast<int>(random() % 60));
          break;
        default:
          last.wait();
      }
      if (random() % 8 != 0) {
        for (const auto& result : results) result.wait();
      }
      longest = std::max(longest, Clock::now() - begin);
      if (random() % 2 == 0) compute(20 + static_cast<int>(random() % 60));
      if (random() % 16 == 0) std::this_thread::sleep_for(Clocks(random() % 2000));
    }
    CHECK(eventually([&] { return called == expected; }));
    check_rest(pool);
    CHECK(pool.stats().late_wakeups == 0);
    std::printf("%d bursts, the longest %.1f ms\n", bursts,
                std::chrono::duration<double, std::milli>(longest).count());
  }
}

TEST_CASE_FIXTURE(NothingLeft, "what a worker had published before it was killed is delivered") {
  auto random = seeded();
  CheckedPool pool(1);
  std::uint64_t deaths = 0;
  for (int round = 0; round < 150; ++round) {
    CAPTURE(round);
    counters->clear();
    const int tasks = 1 + static_cast<int>(random() % 40);
    std::vector<AsyncResult<int>> results;
    for (int i = 0; i < tasks; ++i) results.push_back(pool.apply_async(quick, i));
    const auto large = pool.apply_async([](int n) { return std::vector<int>(std::size_t(n), n); },
                                        1 + int(random() % 40000));
    // All have run, and nobody has waited; the last answer is some instructions behind.
    REQUIRE(eventually([&] { return counters->total == tasks; }));
    std::this_thread::sleep_for(Clocks(random() % 3000));
    const bool all_out = random() % 2 == 0;
    if (all_out) {
      std::this_thread::sleep_for(20ms);  // the worker is asleep, unless the machine is
    }
    kill_one(pool, 0);
    ++deaths;
    int lost = 0;
    for (int i = 0; i < tasks; ++i) {
      REQUIRE(results[std::size_t(i)].wait(10s));
      const End end = end_of(results[std::size_t(i)], i);
      REQUIRE((end == End::value || end == End::lost));
      lost += end == End::lost;
      REQUIRE(counters->begun[std::size_t(i)] == 1);
    }
    CHECK(lost <= 1);  // only the one that had not published
    try {
      const auto& values = large.get();
      REQUIRE(values == std::vector<int>(values.size(), int(values.size())));
    } catch (const pinion::WorkerLost&) {
    }
    REQUIRE(eventually([&] { return pool.stats().deaths == deaths; }));
  }
  CHECK(pool.stats().protocol_breaches == 0);
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "killed again and again while results fly, no generation answers for another") {
  auto random = seeded();
  CheckedPool pool(PoolOptions{.processes = 2, .child_concurrency = 8});
  counters->clear();
  std::atomic<bool> over{false};
  std::thread killer([&, r = std::mt19937_64(random())]() mutable {
    while (!over) {
      std::this_thread::sleep_for(Clocks(r() % 3000));
      kill_one(pool, r());
    }
  });
  const auto end = Clock::now() + 3s;
  int task = 0;
  int values = 0;
  int lost = 0;
  while (Clock::now() < end && task + 300 < int(tasks_max)) {
    std::vector<AsyncResult<int>> results;
    const int first = task;
    for (int i = 0; i < 200; ++i) {
      results.push_back(i % 5 == 0 ? pool.apply_async(coroutine, task, 50)
                                   : pool.apply_async(quick, task));
      ++task;
    }
    for (int i = 0; i < 200; ++i) {
      REQUIRE(results[std::size_t(i)].wait(20s));
      const End how = end_of(results[std::size_t(i)], first + i);
      REQUIRE((how == End::value || how == End::lost));
      (how == End::value ? values : lost) += 1;
      REQUIRE(counters->begun[std::size_t(first + i)] <= 1);
      if (how == End::value) REQUIRE(counters->begun[std::size_t(first + i)] == 1);
    }
  }
  over = true;
  killer.join();
  std::printf("%d values, %d lost, %llu deaths\n", values, lost,
              static_cast<unsigned long long>(pool.stats().deaths));
  CHECK(values > 0);
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft, "far more at once than a ring holds, and positions far beyond it") {
  auto random = seeded();
  for (const unsigned concurrency : {16U, 700U}) {
    CAPTURE(concurrency);
    CheckedPool pool(PoolOptions{.processes = 1, .child_concurrency = concurrency});
    counters->clear();
    int task = 0;
    int cancelled = 0;
    for (int round = 0; round < 8; ++round) {
      std::vector<AsyncResult<int>> results;
      const int first = task;
      for (int i = 0; i < 4000; ++i) {
        results.push_back(i % 7 == 0 ? pool.apply_async(coroutine, task, 10)
                                     : pool.apply_async(quick, task));
        ++task;
      }
      // Control messages in between: cancels, and large results that go back.
      const auto large = pool.apply_async([] { return std::string(100000, 'x'); });
      for (int i = 0; i < 200; ++i) {
        cancelled += results[random() % results.size()].cancel() ? 1 : 0;
      }
      CHECK(large.get(20s).size() == 100000);
      for (int i = 0; i < 4000; ++i) {
        REQUIRE(results[std::size_t(i)].wait(20s));
        const End end = end_of(results[std::size_t(i)], first + i);
        REQUIRE((end == End::value || end == End::cancelled));
        if (end == End::value) REQUIRE(counters->begun[std::size_t(first + i)] == 1);
      }
    }
    CHECK(cancelled > 0);
    check_rest(pool);
  }
}
