// cancel(): of what has not started, of what runs, of maps, and in the midst of it all.
#include <doctest/doctest.h>

#include <atomic>
#include <latch>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::AsyncResult;
using pinion::Cancelled;
using pinion::PoolOptions;

namespace {

int square(int x) { return x * x; }
int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
/// How many milliseconds it ran before it was asked to stop; -1 if it never was.
int until_asked(int limit_ms) {
  for (int i = 0; i < limit_ms; ++i) {
    if (pinion::this_task::stop_requested()) return i;
    std::this_thread::sleep_for(1ms);
  }
  return -1;
}
int compute_us(int us) {
  const auto end = Clock::now() + std::chrono::microseconds(us);
  while (Clock::now() < end) {
  }
  return us;
}
pinion::Task<int> nap(int ms) {
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}

/// Until one worker is surely in the middle of what it was given.
void let_it_start() { std::this_thread::sleep_for(30ms); }

}  // namespace

TEST_CASE("a map of coroutines is cancelled between two of its items") {
  CheckedPool pool(PoolOptions{.processes = 1, .child_concurrency = 1});
  const auto short_item = [](int x) -> pinion::Task<int> {
    co_await pinion::yield();
    co_return x;
  };
  for (int i = 0; i < 300; ++i) {
    auto map = pool.map_async(short_item, numbers(5000), 5000);
    auto behind = pool.apply_async(short_item, 1);  // so that messages are looked for
    std::this_thread::sleep_for(std::chrono::microseconds(100 + i));
    static_cast<void>(map.cancel());
    REQUIRE(map.wait(10s));
    CHECK(behind.get(10s) == 1);
  }
}

TEST_CASE("a request to stop is not lost where it is not known whether the task has started") {
  CheckedPool pool(1);
  int asked = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto first = pool.apply_async(compute_us, 20);
    const auto second = pool.apply_async(until_asked, 20'000);
    if (i % 3 == 0) {  // lets the worker's core go
      std::this_thread::sleep_for(std::chrono::microseconds(i % 300));
    } else {
      compute_us(14 + i % 12);
    }
    if (!second.cancel()) {
      ++asked;
      // Else it had not started after all, and was cancelled.
      if (second.wait(10s) && second.successful()) CHECK(second.get() >= 0);
      CHECK(second.ready());
    }
    first.wait();
  }
  CHECK(asked > 0);
}

TEST_CASE(
    "what has not started is cancelled at once, and its worker never sees it (edge case 56)") {
  CheckedPool pool(1);
  const auto running = pool.apply_async(slow, 100);
  let_it_start();
  std::vector<AsyncResult<int>> waiting;
  for (int i = 0; i < 200; ++i) waiting.push_back(pool.apply_async(square, i));
  const auto begin = Clock::now();
  for (const auto& result : waiting) {
    CHECK(result.cancel());
    CHECK(result.ready());
    CHECK_FALSE(result.successful());
    CHECK_THROWS_AS(result.get(), Cancelled);
  }
  CHECK(Clock::now() - begin < 60ms);  // it did not wait for what runs
  CHECK(running.get() == 100);
  CHECK(pool.stats().completed == 1);
  CHECK(pool.stats().failed == 200);
  CHECK(pool.apply(square, 3) == 9);
}

TEST_CASE("every other one of many is cancelled, and the others have their values") {
  CheckedPool pool(2);
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 4000; ++i) results.push_back(pool.apply_async(square, i));
  std::vector<bool> cancelled(4000);
  for (std::size_t i = 0; i < 4000; i += 2) cancelled[i] = results[i].cancel();
  for (std::size_t i = 0; i < 4000; ++i) {
    if (cancelled[i]) {
      CHECK_THROWS_AS(results[i].get(), Cancelled);
    } else if (i % 2 != 0) {
      REQUIRE(results[i].get() == static_cast<int>(i * i));
    } else if (results[i].wait(10s) && results[i].successful()) {  // else it had not started
      REQUIRE(results[i].get() == static_cast<int>(i * i));
    }
  }
}

TEST_CASE("a plain task that runs is asked to stop, and ends with what it returns") {
  CheckedPool pool(1);
  const auto result = pool.apply_async(until_asked, 5000);
  let_it_start();
  CHECK_FALSE(result.cancel());
  const int ran = result.get(2s);
  CHECK(ran >= 0);
  CHECK(ran < 2000);
  CHECK(pool.apply(until_asked, 20) == -1);  // the next one was not asked
}

TEST_CASE("a coroutine that waits ends at its await, and its neighbours go on (edge case 56)") {
  CheckedPool pool(PoolOptions{.processes = 1, .child_concurrency = 16});
  const auto neighbour = pool.apply_async(nap, 150);
  const auto result = pool.apply_async(nap, 10000);
  let_it_start();
  CHECK_FALSE(result.cancel());
  CHECK(result.wait(1s));
  CHECK_THROWS_AS(result.get(), Cancelled);
  CHECK(neighbour.get() == 150);
  CHECK(pool.stats().deaths == 0);
}

TEST_CASE("a coroutine may tidy up when it is cancelled") {
  CheckedPool pool(1);
  const auto tidies = []() -> pinion::Task<int> {
    bool cancelled = false;
    try {
      co_await pinion::sleep_for(10s);
    } catch (const Cancelled&) {
      cancelled = true;
    }
    if (!cancelled) co_return 0;
    static int tidied = 0;
    ++tidied;
    throw std::runtime_error("tidied " + std::to_string(tidied));
  };
  const auto result = pool.apply_async(tidies);
  let_it_start();
  CHECK_FALSE(result.cancel());
  CHECK(result.wait(2s));
  CHECK_FALSE(result.successful());
  CHECK(pool.apply(square, 4) == 16);
}

TEST_CASE("what has ended cannot be cancelled any more (edge case 56)") {
  CheckedPool pool(1);
  const auto value = pool.apply_async(square, 7);
  value.wait();
  CHECK_FALSE(value.cancel());
  CHECK(value.get() == 49);
  const auto error = pool.apply_async([] { throw std::out_of_range("x"); });
  error.wait();
  CHECK_FALSE(error.cancel());
  CHECK_THROWS_AS(error.get(), std::out_of_range);
}

TEST_CASE("cancelled twice, or by copies of the handle, it has one outcome") {
  CheckedPool pool(1);
  const auto running = pool.apply_async(until_asked, 5000);
  let_it_start();
  const auto waiting = pool.apply_async(square, 7);
  const auto copy = waiting;
  CHECK(waiting.cancel());
  static_cast<void>(waiting.cancel());
  static_cast<void>(copy.cancel());
  CHECK_THROWS_AS(copy.get(), Cancelled);
  CHECK_FALSE(running.cancel());
  CHECK_FALSE(running.cancel());
  CHECK(running.get(2s) >= 0);
  CHECK(pool.stats().failed == 1);
}

TEST_CASE("a thread that waits sees what another one cancels") {
  CheckedPool pool(1);
  const auto running = pool.apply_async(slow, 200);
  let_it_start();
  const auto waiting = pool.apply_async(square, 7);
  std::thread canceller([copy = waiting] {
    std::this_thread::sleep_for(20ms);
    CHECK(copy.cancel());
  });
  const auto begin = Clock::now();
  CHECK_THROWS_AS(waiting.get(), Cancelled);
  CHECK(Clock::now() - begin < 150ms);
  canceller.join();
  CHECK(running.get() == 200);
}

TEST_CASE("a cancelled task's callbacks run") {
  std::atomic<int> values{0};
  std::atomic<int> errors{0};
  CheckedPool pool(1);
  const auto running = pool.apply_async(slow, 50);
  let_it_start();
  for (int i = 0; i < 20; ++i) {
    const auto waiting = pool.apply_async(square, i);
    waiting.on_success([&](int) { ++values; });
    waiting.on_error([&](std::exception_ptr error) {
      CHECK_THROWS_AS(std::rethrow_exception(error), Cancelled);
      ++errors;
    });
    CHECK(waiting.cancel());
  }
  pool.close();
  pool.join();
  CHECK(values == 0);
  CHECK(errors == 20);
}

TEST_CASE("of a map the unstarted items end at once, and the handle with the last that runs") {
  for (const int chunk : {1, 5, 40}) {
    CAPTURE(chunk);
    CheckedPool pool(1);
    const auto begin = Clock::now();
    const auto result = pool.map_async(slow, std::vector<int>(40, 60), chunk);
    let_it_start();
    CHECK_FALSE(result.cancel());
    CHECK(pool.stats().pending <= 1);
    CHECK_FALSE(result.ready());
    CHECK(result.wait(2s));
    CHECK(Clock::now() - begin >= 55ms);
    CHECK(Clock::now() - begin < 400ms);
    CHECK_THROWS_AS(result.get(), Cancelled);
    const auto stats = pool.stats();
    CHECK(stats.accepted == 40);
    CHECK(stats.completed <= 2);
    CHECK(stats.completed >= 1);
    CHECK(stats.failed + stats.completed == 40);
    CHECK(pool.map(square, numbers(5)) == std::vector{0, 1, 4, 9, 16});
  }
}

TEST_CASE("a map of which nothing has started is cancelled whole") {
  CheckedPool pool(1);
  const auto running = pool.apply_async(slow, 150);
  let_it_start();
  const auto result = pool.map_async(square, numbers(100000), 10);
  CHECK(result.cancel());
  CHECK(result.ready());
  CHECK_THROWS_AS(result.get(), Cancelled);
  CHECK(pool.stats().failed == 100000);
  CHECK(running.get() == 150);
}

TEST_CASE("a cancelled map whose own item has failed throws that error") {
  CheckedPool pool(1);
  const auto fails = [](int x) {
    if (x == 0) throw std::out_of_range("first");
    std::this_thread::sleep_for(60ms);
    return x;
  };
  const auto result = pool.map_async(fails, numbers(20), 1);
  let_it_start();
  CHECK_FALSE(result.cancel());
  CHECK_THROWS_AS(result.get(), std::out_of_range);
}

TEST_CASE("a map of coroutines is cancelled, started or not") {
  CheckedPool pool(PoolOptions{.processes = 2, .child_concurrency = 8});
  const auto begin = Clock::now();
  const auto result = pool.map_async(nap, std::vector<int>(100, 5000), 10);
  let_it_start();
  CHECK_FALSE(result.cancel());
  CHECK(result.wait(2s));
  CHECK(Clock::now() - begin < 1s);
  CHECK_THROWS_AS(result.get(), Cancelled);
  CHECK(pool.stats().failed == 100);
  CHECK(pool.apply(nap, 1) == 1);
}

TEST_CASE("cancel races with the end, thousands of times: one outcome each (edge case 56)") {
  CheckedPool pool(2);
  auto random = seeded();
  std::atomic<int> callbacks{0};
  int values = 0;
  int cancelled = 0;
  const auto check = [&](const AsyncResult<int>& result, bool said, int expected) {
    try {
      const int value = result.get(10s);
      CHECK(value == expected);
      CHECK_FALSE(said);
      ++values;
    } catch (const Cancelled&) {
      ++cancelled;
    }
    CHECK(result.ready());
  };
  for (int i = 0; i < 5000; ++i) {
    const auto coroutine = i % 3 == 0;
    const auto result = coroutine ? pool.apply_async(nap, 0) : pool.apply_async(square, i % 100);
    if (i % 50 == 0) result.on_error([&](std::exception_ptr) { ++callbacks; });
    if (i % 50 == 0) result.on_success([&](int) { ++callbacks; });
    for (auto pause = random() % 400; pause > 0; --pause)
      std::atomic_signal_fence(std::memory_order_seq_cst);
    check(result, result.cancel(), coroutine ? 0 : (i % 100) * (i % 100));
  }
  CHECK(values + cancelled == 5000);
  const auto stats = pool.stats();
  CHECK(stats.accepted == 5000);
  CHECK(stats.completed == static_cast<std::uint64_t>(values));
  CHECK(stats.failed == static_cast<std::uint64_t>(cancelled));
  pool.close();
  pool.join();
  CHECK(callbacks == 100);
  std::printf("%d values, %d cancelled\n", values, cancelled);
}

TEST_CASE("cancelling from a thread of its own, while another one submits and waits") {
  CheckedPool pool(2);
  for (int round = 0; round < 300; ++round) {
    const auto result = pool.apply_async(square, 9);
    const auto map = pool.map_async(square, numbers(200), 10);
    std::latch go(2);
    bool said = false;
    std::thread canceller([&] {
      go.arrive_and_wait();
      said = result.cancel();
      static_cast<void>(map.cancel());
    });
    go.arrive_and_wait();
    int value = 0;
    bool threw = false;
    try {
      value = result.get(10s);
    } catch (const Cancelled&) {
      threw = true;
    }
    canceller.join();
    REQUIRE((threw || value == 81));
    REQUIRE_FALSE((said && !threw));
    try {
      const auto& all = map.get(10s);
      REQUIRE(all.size() == 200);
      REQUIRE(all[199] == 199 * 199);
    } catch (const Cancelled&) {
    }
  }
}

TEST_CASE("after the pool's end a cancel does nothing") {
  AsyncResult<int> value;
  AsyncResult<int> ended;
  AsyncResult<std::vector<int>> map;
  {
    CheckedPool pool(1);
    value = pool.apply_async(square, 5);
  }
  CHECK_FALSE(value.cancel());
  CHECK(value.get() == 25);
  {
    CheckedPool pool(1);
    ended = pool.apply_async(slow, 5000);
    map = pool.map_async(slow, std::vector<int>(10, 5000), 2);
    let_it_start();
    pool.terminate();
    CHECK_FALSE(ended.cancel());
    static_cast<void>(map.cancel());
  }
  CHECK_FALSE(ended.cancel());
  CHECK_FALSE(map.cancel());
  CHECK_THROWS_AS(ended.get(), pinion::PoolTerminated);
  CHECK_THROWS(map.get());
  CHECK_THROWS_AS(static_cast<void>(AsyncResult<int>().cancel()), std::logic_error);
}

TEST_CASE("a cancelled task that does not listen is killed with its time limit") {
  CheckedPool pool(1);
  const auto result =
      pool.apply_async(pinion::TaskOptions{.timeout = 150ms, .grace = 50ms}, slow, 10000);
  let_it_start();
  CHECK_FALSE(result.cancel());
  CHECK(result.wait(3s));
  CHECK_FALSE(result.successful());
  CHECK(pool.apply(square, 6) == 36);
}
