// Callbacks: when they run, what they may do, and that each runs once.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::AsyncResult;
using pinion::PoolOptions;

namespace {

int square(int x) { return x * x; }
int fail(int x) { throw std::out_of_range("no " + std::to_string(x)); }
int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}

}  // namespace

TEST_CASE("a callback finds its result ready (edge case 5)") {
  std::atomic<int> ran{0};
  std::atomic<int> unready{0};
  {
    CheckedPool pool(2);
    for (int i = 0; i < 5000; ++i) {
      const auto result = pool.apply_async(square, i % 100);
      result.on_success([&, result](int) {
        ++ran;
        if (!result.ready() || !result.successful()) ++unready;
      });
    }
  }
  CHECK(ran == 5000);
  CHECK(unready == 0);
}

TEST_CASE("a callback on a ready result does not wait for another's") {
  CheckedPool pool(2);
  auto quick = pool.apply_async(slow, 1);
  quick.wait();
  auto lasting = pool.apply_async(slow, 1500);  // the callback thread collects, asleep
  lasting.on_success([](int) {});
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(50ms);
    std::atomic<bool> ran{false};
    const auto begin = Clock::now();
    quick.on_success([&](int) { ran = true; });
    while (!ran) std::this_thread::sleep_for(1ms);
    CHECK(Clock::now() - begin < 300ms);
  }
}

TEST_CASE("a long callback holds up nothing") {
  CheckedPool pool(PoolOptions{.processes = 1, .child_concurrency = 1});
  std::atomic<bool> over{false};
  auto first = pool.apply_async(slow, 40);
  first.on_success([&](int) {
    while (!over) std::this_thread::sleep_for(1ms);
  });
  std::this_thread::sleep_for(5ms);
  std::vector<AsyncResult<int>> rest;  // more than its worker's ring takes
  for (int i = 0; i < 100; ++i) rest.push_back(pool.apply_async(slow, 1));
  // Nobody waits: the service thread alone passes on what waits for its turn.
  CHECK(eventually([&] { return pool.stats().completed == 101; }));
  over = true;
}

TEST_CASE("a callback that is registered late is called, once") {
  CheckedPool pool(1);
  auto result = pool.apply_async(square, 3);
  result.wait();
  std::atomic<int> ran{0};
  result.on_success([&](const int& x) { ran += x; });
  result.on_error([&](std::exception_ptr) { ran += 1000; });
  CHECK(eventually([&] { return ran == 9; }));
  std::this_thread::sleep_for(20ms);
  CHECK(ran == 9);
}

TEST_CASE("a callback that is registered after join, and after the pool, is called") {
  std::atomic<int> ran{0};
  AsyncResult<int> result;
  {
    CheckedPool pool(1);
    result = pool.apply_async(square, 3);
    pool.close();
    pool.join();
    result.on_success([&](int) { ++ran; });
    CHECK(eventually([&] { return ran == 1; }, 1s));
  }
  result.on_success([&](int) { ++ran; });
  CHECK(eventually([&] { return ran == 2; }, 1s));
}

TEST_CASE("a callback may register another while the pool ends") {
  std::atomic<int> ran{0};
  CheckedPool pool(1);
  auto result = pool.apply_async(square, 3);
  result.on_success([&, result](int) {
    std::this_thread::sleep_for(200ms);  // the workers have left by now
    result.on_success([&](int) { ++ran; });
    ++ran;
  });
  pool.close();
  REQUIRE(pool.join(5s));
  CHECK(ran == 2);
}

TEST_CASE("join waits for the last callback") {
  std::atomic<bool> ended{false};
  CheckedPool pool(1);
  pool.apply_async(square, 3).on_success([&](int) {
    std::this_thread::sleep_for(100ms);
    ended = true;
  });
  pool.close();
  pool.join();
  CHECK(ended);
}

TEST_CASE("a callback that throws is counted and harms nothing (edge case 6)") {
  CheckedPool pool(2);
  std::atomic<int> good{0};
  for (int i = 0; i < 20; ++i) {
    auto result = pool.apply_async(square, i);
    result.on_success([](int) { throw std::runtime_error("mine"); });
    result.on_success([&](int) { ++good; });
    CHECK(result.get() == i * i);
  }
  pool.close();
  pool.join();
  CHECK(good == 20);
  CHECK(pool.stats().callback_errors == 20);
}

TEST_CASE("on_error gets the task's own error, and on_success is silent") {
  CheckedPool pool(1);
  std::atomic<int> wrong{0};
  std::atomic<int> right{0};
  auto result = pool.apply_async(fail, 7);
  result.on_success([&](int) { ++wrong; });
  result.on_error([&](std::exception_ptr error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::out_of_range& e) {
      if (std::string(e.what()) == "no 7") ++right;
    } catch (...) {
      ++wrong;
    }
  });
  CHECK(eventually([&] { return right == 1; }));
  CHECK(wrong == 0);
}

TEST_CASE("a callback may submit and wait, also for its own handle (edge case 4)") {
  std::atomic<int> sum{0};
  {
    CheckedPool pool(1);
    for (int i = 0; i < 50; ++i) {
      auto result = pool.apply_async(square, 2);
      result.on_success([&pool, &sum, result](int x) {
        sum += pool.apply(square, x) + result.get();  // 16 + 4
      });
      result.wait();
    }
    REQUIRE(eventually([&] { return sum == 1000; }));
  }
  CHECK(sum == 1000);
}

TEST_CASE("a callback may close its pool (edge case 7)") {
  CheckedPool pool(1);
  auto result = pool.apply_async(slow, 20);
  auto later = pool.apply_async(slow, 30);
  result.on_success([&](int) { pool.close(); });
  CHECK(later.get() == 30);
  CHECK(eventually([&] { return !error_of([&] { pool.apply(square, 1); }).empty(); }));
  REQUIRE(pool.join(5s));
}

TEST_CASE("a callback may terminate its pool (edge cases 7, 44)") {
  CheckedPool pool(1);
  auto result = pool.apply_async(slow, 20);
  auto later = pool.apply_async(slow, 20000);
  result.on_success([&](int) { pool.terminate(); });
  CHECK_THROWS_AS(later.get(), pinion::PoolTerminated);
  REQUIRE(pool.join(5s));
}

TEST_CASE("join inside a callback is a logic error") {
  CheckedPool pool(1);
  std::atomic<int> refused{0};
  pool.apply_async(square, 1).on_success([&](int) {
    pool.close();
    try {
      pool.join();
    } catch (const std::logic_error&) {
      ++refused;
    }
  });
  CHECK(eventually([&] { return refused == 1; }));
  REQUIRE(pool.join(5s));
}

TEST_CASE("a callback may destroy the last handle (edge case 7)") {
  CheckedPool pool(1);
  auto kept = std::make_unique<AsyncResult<std::string>>(pool.apply_async(
      [](int ms) {
        slow(ms);
        return std::string(5000, 'x');
      },
      20));
  std::atomic<std::size_t> size{0};
  kept->on_success([&](const std::string& s) {
    kept.reset();
    size = s.size();  // the callback itself still holds it
  });
  CHECK(eventually([&] { return size == 5000; }));
}

TEST_CASE(
    "dropped handles do not silence callbacks, also of a map and of nothing at all (edge cases 3, "
    "8)") {
  std::atomic<int> ran{0};
  {
    CheckedPool pool(2);
    pool.apply_async(square, 3).on_success([&](int) { ++ran; });
    pool.map_async(square, numbers(100), 7).on_success([&](const std::vector<int>& v) {
      if (v.size() == 100) ++ran;
    });
    pool.map_async(square, std::vector<int>{}).on_success([&](const std::vector<int>&) { ++ran; });
    pool.apply_async([] {}).on_success([&] { ++ran; });
  }
  CHECK(ran == 4);
}

TEST_CASE("callbacks come although nobody waits") {
  CheckedPool pool(2);
  std::atomic<int> ran{0};
  for (int i = 0; i < 5; ++i) pool.apply_async(slow, 10).on_success([&](int) { ++ran; });
  const auto begin = Clock::now();
  CHECK(eventually([&] { return ran == 5; }));
  CHECK(Clock::now() - begin < 500ms);
}
