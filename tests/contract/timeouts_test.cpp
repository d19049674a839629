// Time limits of tasks: when they count from, who they end, and who they do not.
#include <doctest/doctest.h>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::TaskOptions;
using pinion::TaskTimeout;

namespace {

int square(int x) { return x * x; }
int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
pinion::Task<int> nap(int ms) {
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}
/// Gives no way at all while it computes.
pinion::Task<int> compute(int ms) {
  const auto end = Clock::now() + std::chrono::milliseconds(ms);
  while (Clock::now() < end) {
  }
  co_return ms;
}
int until_stopped(int extra_ms) {
  while (!pinion::this_task::stop_requested()) std::this_thread::sleep_for(1ms);
  return slow(extra_ms);
}

}  // namespace

TEST_CASE("a task within its limit knows its deadline and gives its value") {
  CheckedPool pool(1);
  CHECK(pool.apply(TaskOptions{.timeout = 5s}, square, 3) == 9);
  const auto left = [] {
    const auto deadline = pinion::this_task::deadline();
    return deadline ? std::chrono::duration<double>(*deadline - Clock::now()).count() : -1.0;
  };
  const double seconds = pool.apply(TaskOptions{.timeout = 5s}, left);
  CHECK(seconds > 4);
  CHECK(seconds <= 5);
  CHECK(pool.apply(left) == -1.0);
}

TEST_CASE("a limit counts from the start of the task, not from its submit (edge case 55)") {
  CheckedPool pool(1);
  std::vector<pinion::AsyncResult<int>> results;
  for (int i = 0; i < 10; ++i) {
    results.push_back(pool.apply_async(TaskOptions{.timeout = 200ms}, slow, 50));
  }
  for (auto& result : results) CHECK(result.get(10s) == 50);
  CHECK(pool.map(TaskOptions{.timeout = 200ms}, slow, std::vector(10, 50), 10).size() == 10);
  CHECK(pool.stats().deaths == 0);
}

TEST_CASE("a plain task that overstays its grace is killed with its worker") {
  CheckedPool pool(2);
  const auto begin = Clock::now();
  CHECK_THROWS_AS(pool.apply(TaskOptions{.timeout = 50ms, .grace = 50ms}, slow, 10000),
                  TaskTimeout);
  const auto took = Clock::now() - begin;
  CHECK(took > 90ms);
  CHECK(took < 1s);
  CHECK(pool.apply(square, 3) == 9);
  CHECK(pool.stats().deaths == 1);
}

TEST_CASE(
    "a value within the grace wins, and the task is asked to stop at its limit (edge case 55)") {
  CheckedPool pool(1);
  const auto begin = Clock::now();
  CHECK(pool.apply(TaskOptions{.timeout = 50ms, .grace = 5s}, until_stopped, 30) == 30);
  CHECK(Clock::now() - begin < 1s);
  CHECK(pool.stats().deaths == 0);
}

TEST_CASE("an item that stays too long harms no other item of its chunk") {
  CheckedPool pool(1);
  const auto f = [](int x) { return x == 5 ? slow(10000) : x; };
  auto result = pool.map_async(TaskOptions{.timeout = 50ms, .grace = 20ms}, f, numbers(16), 16);
  CHECK_THROWS_AS(result.get(5s), TaskTimeout);
  CHECK(pool.stats().completed == 15);
  CHECK(pool.stats().failed == 1);
}

TEST_CASE("one item's request to stop is not the next one's") {
  CheckedPool pool(1);
  const auto f = [](int i) {
    if (i == 0) return until_stopped(30);
    slow(5);
    return pinion::this_task::stop_requested() ? -1 : 1;
  };
  const auto results =
      pool.map(TaskOptions{.timeout = 50ms, .grace = 5s}, f, std::vector{0, 1, 2}, 3);
  CHECK(results == std::vector{30, 1, 1});
}

TEST_CASE("a coroutine is cancelled at its await, and its worker lives on") {
  CheckedPool pool(1);
  auto other = pool.apply_async(nap, 200);
  CHECK_THROWS_AS(pool.apply(TaskOptions{.timeout = 30ms}, nap, 10000), TaskTimeout);
  CHECK(other.get() == 200);
  CHECK(pool.stats().deaths == 0);
}

TEST_CASE("a coroutine that computes past its grace is killed, and its neighbours learn why") {
  CheckedPool pool(1);
  auto neighbour = pool.apply_async(nap, 5000);
  slow(20);
  CHECK_THROWS_AS(pool.apply(TaskOptions{.timeout = 30ms, .grace = 30ms}, compute, 5000),
                  TaskTimeout);
  try {
    neighbour.get(5s);
    FAIL("it must throw");
  } catch (const pinion::WorkerLost& lost) {
    CHECK(lost.cause() == pinion::WorkerLost::Cause::killed_with_culprit);
  }
  CHECK(pool.apply(square, 2) == 4);
}

TEST_CASE("of a chunk of coroutines only those that stay too long end with TaskTimeout") {
  CheckedPool pool(1);
  const auto f = [](int i) { return nap(i % 2 == 0 ? 1 : 10000); };
  auto result = pool.map_async(TaskOptions{.timeout = 50ms}, f, numbers(8), 8);
  CHECK_THROWS_AS(result.get(5s), TaskTimeout);
  CHECK(pool.stats().completed == 4);
  CHECK(pool.stats().failed == 4);
  CHECK(pool.stats().deaths == 0);
}

TEST_CASE("a limit of nothing ends what waits, and harms nobody else") {
  CheckedPool pool(1);
  auto running = pool.apply_async(slow, 100);
  auto limited = pool.apply_async(TaskOptions{.timeout = 0ms, .grace = 10ms}, slow, 2000);
  CHECK(running.get() == 100);
  CHECK_THROWS_AS(limited.get(5s), TaskTimeout);
  CHECK(pool.apply(square, 2) == 4);
}

TEST_CASE("cancelling a map with a time limit reaches the item that runs") {
  CheckedPool pool(1);
  auto result = pool.map_async(TaskOptions{.timeout = 60s}, until_stopped, std::vector(8, 0), 8);
  slow(30);
  CHECK_FALSE(result.cancel());
  REQUIRE(result.wait(5s));
  CHECK_THROWS_AS(result.get(), pinion::Cancelled);
}
