// A pool's beginning and end, in every state and from every side.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <stdexcept>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::Pool;
using pinion::PoolOptions;

namespace {

int square(int x) { return x * x; }
int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}

void compute_for_ever() {
  volatile bool go_on = true;
  while (go_on) {
  }
}

}  // namespace

TEST_CASE(
    "close, terminate and join may be called again, in any order that makes sense (edge case 42)") {
  NothingLeft nothing;
  CheckedPool pool(2);
  CHECK_THROWS_AS(pool.join(), std::logic_error);
  auto result = pool.apply_async(slow, 20);
  pool.close();
  pool.close();
  CHECK(result.get() == 20);
  pool.join();
  pool.join();
  CHECK(pool.join(0ms));
  pool.terminate();
  pool.close();
  pool.join();
}

TEST_CASE(
    "join from two threads ends both, and a join with a limit says when it ran out (edge case "
    "42)") {
  CheckedPool pool(1);
  auto result = pool.apply_async(slow, 200);
  pool.close();
  CHECK_FALSE(pool.join(20ms));
  std::thread other([&] { pool.join(); });
  pool.join();
  other.join();
  CHECK(result.get() == 200);
}

TEST_CASE("a submit that races with close is run or refused, never lost (edge case 42)") {
  for (int round = 0; round < 50; ++round) {
    CheckedPool pool(2);
    std::atomic<int> accepted{0};
    std::atomic<int> values{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        std::vector<pinion::AsyncResult<int>> results;
        try {
          for (;;) results.push_back(pool.apply_async(square, 2));
        } catch (const pinion::PoolClosed&) {
        }
        accepted += static_cast<int>(results.size());
        for (auto& result : results) values += result.get() == 4;
      });
    }
    slow(round % 5);
    pool.close();
    for (auto& thread : threads) thread.join();
    CHECK(values == accepted);
    CHECK(pool.stats().accepted == static_cast<std::uint64_t>(accepted));
  }
}

TEST_CASE("scope exit finishes what is queued") {
  NothingLeft nothing;
  std::vector<pinion::AsyncResult<int>> results;
  {
    CheckedPool pool(2);
    for (int i = 0; i < 2000; ++i) results.push_back(pool.apply_async(square, i));
    for (int i = 0; i < 10; ++i) pool.apply_async(slow, 5);
  }
  for (int i = 0; i < 2000; ++i) CHECK(results[static_cast<std::size_t>(i)].get() == i * i);
}

TEST_CASE("scope exit while an exception unwinds terminates (edge case 44)") {
  if (left_out("the task goes on")) return;
  NothingLeft nothing;
  pinion::AsyncResult<int> result;
  const auto begin = Clock::now();
  try {
    CheckedPool pool(2);
    result = pool.apply_async(slow, 10000);
    throw std::runtime_error("mine");
  } catch (const std::runtime_error&) {
  }
  CHECK(Clock::now() - begin < 2s);
  CHECK_THROWS_AS(result.get(), pinion::PoolTerminated);
}

TEST_CASE("pools come and go, two at a time, and leave nothing (edge case 49)") {
  { CheckedPool warm(2); }
  NothingLeft nothing;
  for (int i = 0; i < 50; ++i) {
    auto first = std::make_unique<CheckedPool>(1);
    auto second = std::make_unique<CheckedPool>(2);
    CHECK(first->apply(square, i) + second->apply(square, 1) == i * i + 1);
    (i % 2 == 0 ? first : second).reset();
    if (first) CHECK(first->apply(square, 3) == 9);
    if (second) CHECK(second->apply(square, 3) == 9);
  }
}

TEST_CASE("waiters outlive the pool they wait for") {
  for (int round = 0; round < 100; ++round) {
    std::vector<std::thread> threads;
    std::atomic<int> ended{0};
    {
      CheckedPool pool(2);
      auto result = pool.apply_async(slow, 2);
      for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&ended, result] {
          result.wait();
          ++ended;
        });
      }
      if (round % 2 != 0) pool.terminate();
    }
    for (auto& thread : threads) thread.join();
    CHECK(ended == 4);
  }
}

TEST_CASE("in a forked child a pool refuses, and its end does nothing (edge cases 45, 50)") {
  auto pool = std::make_unique<CheckedPool>(2);
  CHECK(pool->apply(square, 2) == 4);
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 1;
    try {
      pool->apply(square, 2);
    } catch (const pinion::PoolClosed&) {
      code = 0;
    }
    static_cast<Pool&>(*pool).~Pool();
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(pool->apply(square, 3) == 9);
}

TEST_CASE("a pool in a worker, or beside other threads, is refused with a sentence") {
  if (left_out("pools of threads may be made anywhere")) return;
  CheckedPool pool(1);
  const auto makes_a_pool = [](int) { return error_of([] { CheckedPool inner(1); }); };
  CHECK(pool.apply(makes_a_pool, 1).find("worker") != std::string::npos);
  std::thread other([] { slow(100); });
  const auto forks = [] {
    CheckedPool inner(
        pinion::PoolOptions{.processes = 1, .start_method = pinion::StartMethod::fork});
  };
  CHECK_THROWS_AS(forks(), pinion::StartError);
  CHECK(error_of(forks).find("before the first thread") != std::string::npos);
  CheckedPool anew(
      pinion::PoolOptions{.processes = 1, .start_method = pinion::StartMethod::forkserver});
  CHECK(anew.apply(square, 3) == 9);
  other.join();
  CHECK(pool.apply(square, 2) == 4);
}

TEST_CASE("a pool may be made right after a thread was joined") {
  for (int i = 0; i < 200; ++i) {
    std::thread([] {}).join();
    CheckedPool pool(1);
  }
}

TEST_CASE("no worker outlives a manager that was killed (edge case 46)") {
  if (left_out("there is no process to outlive it")) return;
  int fds[2];
  REQUIRE(::pipe(fds) == 0);
  const pid_t manager = ::fork();
  if (manager == 0) {
    Pool pool(2);
    std::vector<pid_t> pids;
    for (const Process& child : children()) pids.push_back(child.pid);
    pids.resize(processes_with(2));
    auto busy = pool.apply_async(compute_for_ever);
    (void)!::write(fds[1], pids.data(), pids.size() * sizeof(pid_t));
    slow(10000);
    ::_exit(0);
  }
  std::vector<pid_t> pids(processes_with(2));
  const auto bytes = static_cast<ssize_t>(pids.size() * sizeof(pid_t));
  REQUIRE(::read(fds[0], pids.data(), pids.size() * sizeof(pid_t)) == bytes);
  ::kill(manager, SIGKILL);
  ::waitpid(manager, nullptr, 0);
  for (const pid_t pid : pids) {
    CHECK(pid > 0);
    CHECK(eventually(
        [&] {
          std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
          std::string text;
          return !std::getline(file, text) || text.find(") Z") != std::string::npos;
        },
        1s));
  }
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST_CASE("at max_pending a submit waits, and takes results meanwhile (edge case 22)") {
  for (const std::size_t most : {std::size_t{1}, std::size_t{3}, std::size_t{100}}) {
    CheckedPool pool(PoolOptions{.processes = 2, .max_pending = most});
    std::atomic<std::uint64_t> over{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          pool.apply_async(square, i);
          if (pool.stats().pending > most + 3) ++over;  // four submit at once
        }
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(over == 0);
    pool.close();
    pool.join();
    CHECK(pool.stats().completed == 2000);
  }
}

TEST_CASE("a submit that waits for room learns of close and terminate") {
  for (const bool closes : {true, false}) {
    CheckedPool pool(PoolOptions{.processes = 1, .max_pending = 1});
    auto running = pool.apply_async(slow, 3000);
    std::atomic<bool> refused{false};
    std::thread submitter([&] {
      try {
        pool.apply_async(square, 1);
      } catch (const pinion::PoolClosed&) {
        refused = true;
      }
    });
    slow(50);
    closes ? pool.close() : pool.terminate();
    CHECK(eventually([&] { return refused.load(); }, 1500ms));
    submitter.join();
    pool.terminate();
  }
}

TEST_CASE(
    "a pool with many tasks that wait is terminated in time that grows with them, no faster") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  auto slow = pool.apply_async([] { std::this_thread::sleep_for(60s); });
  std::vector<pinion::AsyncResult<int>> waiting;
  for (int i = 0; i < 300'000; ++i) waiting.push_back(pool.apply_async([](int x) { return x; }, i));
  const auto begin = Clock::now();
  pool.terminate();
  CHECK(pool.join(30s));
  CHECK(Clock::now() - begin < 10s);  // by moving what is behind each it took minutes
  CHECK_THROWS_AS(waiting.back().get(), pinion::PoolTerminated);
}
