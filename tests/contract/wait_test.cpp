// Several results waited for together: wait_any, wait_all, as_completed.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <stdexcept>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::AsyncResult;
using pinion::PoolOptions;

namespace {

int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
int square(int x) { return x * x; }
pinion::Task<int> nap(int ms) {
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}
int fail_after(int ms) {
  slow(ms);
  throw std::out_of_range("after " + std::to_string(ms));
}
void nothing() {}

}  // namespace

TEST_CASE("wait_any gives one that has ended, by value or by error") {
  CheckedPool pool(2);
  const std::vector<AsyncResult<int>> results{pool.apply_async(slow, 600),
                                              pool.apply_async(slow, 20)};
  const auto begin = Clock::now();
  CHECK(pinion::wait_any(results) == 1);
  CHECK(results[1].ready());
  CHECK(Clock::now() - begin < 500ms);
  CHECK(pinion::wait_any(results) == 1);  // at once

  const std::vector<AsyncResult<int>> failing{results[0], pool.apply_async(fail_after, 10)};
  CHECK(pinion::wait_any(failing) == 1);
  CHECK_THROWS_AS(failing[1].get(), std::out_of_range);
}

TEST_CASE("wait_any with a limit, and of nothing") {
  CheckedPool pool(1);
  const std::vector<AsyncResult<int>> results{pool.apply_async(slow, 200)};
  CHECK_FALSE(pinion::wait_any(results, 5ms).has_value());
  CHECK_FALSE(pinion::wait_any(results, 0ms).has_value());
  CHECK(pinion::wait_any(results, 10s) == 0u);
  CHECK_THROWS_AS(pinion::wait_any(std::vector<AsyncResult<int>>{}), std::invalid_argument);
  const std::vector<AsyncResult<int>> hollow(1);
  CHECK_THROWS_AS(pinion::wait_any(hollow), std::logic_error);
}

TEST_CASE("wait_any of results of several pools") {
  CheckedPool one(1);
  CheckedPool other(1);
  for (int i = 0; i < 20; ++i) {
    const std::vector<AsyncResult<int>> results{one.apply_async(slow, i % 2 == 0 ? 30 : 1),
                                                other.apply_async(slow, i % 2 == 0 ? 1 : 30)};
    const auto first = pinion::wait_any(results);
    CHECK(results[first].ready());
    if (i == 0) CHECK(first == 1);
    pinion::wait_all(results);
  }
}

TEST_CASE("wait_all waits for all, and at most for its limit") {
  CheckedPool pool(2);
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 50; ++i) results.push_back(pool.apply_async(slow, i % 5));
  results.push_back(pool.apply_async(fail_after, 1));
  pinion::wait_all(results);
  CHECK(std::all_of(results.begin(), results.end(), [](auto& r) { return r.ready(); }));

  const std::vector<AsyncResult<int>> long_ones{pool.apply_async(slow, 300),
                                                pool.apply_async(slow, 300)};
  const auto begin = Clock::now();
  CHECK_FALSE(pinion::wait_all(long_ones, 20ms));
  CHECK(Clock::now() - begin < 250ms);
  CHECK(pinion::wait_all(long_ones, 10s));
  pinion::wait_all(std::vector<AsyncResult<int>>{});
}

TEST_CASE("as_completed gives each once, in the order in which they end") {
  CheckedPool pool(PoolOptions{.processes = 1, .child_concurrency = 8});
  std::vector<AsyncResult<int>> results;
  for (const int ms : {250, 10, 170, 90}) results.push_back(pool.apply_async(nap, ms));
  std::vector<int> order;
  for (auto& result : pinion::as_completed(results)) {
    CHECK(result.ready());
    order.push_back(result.get());
  }
  CHECK(order == std::vector<int>{10, 90, 170, 250});
  for (auto& result : pinion::as_completed(std::vector<AsyncResult<int>>{})) {
    FAIL(result.ready());
  }
}

TEST_CASE("as_completed of many, of several pools, with errors and void, in steps and dropped") {
  CheckedPool one(1);
  CheckedPool other(1);
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 3000; ++i) {
    auto& pool = i % 3 == 0 ? other : one;
    results.push_back(i % 100 == 7 ? pool.apply_async(fail_after, 0)
                                   : pool.apply_async(square, i % 1000));
  }
  int failed = 0;
  std::multiset<int> values;
  for (auto& result : pinion::as_completed(results)) {
    if (result.successful()) {
      values.insert(result.get());
    } else {
      ++failed;
    }
  }
  CHECK(failed == 30);
  CHECK(values.size() == 2970);

  std::vector<AsyncResult<void>> voids;
  for (int i = 0; i < 20; ++i) voids.push_back(one.apply_async(nothing));
  int ended = 0;
  for (auto& result : pinion::as_completed(voids)) {
    result.get();
    ++ended;
  }
  CHECK(ended == 20);

  std::vector<AsyncResult<int>> rest;  // dropped with some under way
  for (int i = 0; i < 40; ++i) rest.push_back(one.apply_async(slow, 2));
  for (auto& result : pinion::as_completed(rest)) {
    CHECK(result.get() == 2);
    break;
  }
  pinion::wait_all(rest);
}

TEST_CASE("several threads wait for the same and for others' results at once") {
  CheckedPool pool(2);
  auto random = seeded();
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 400; ++i) {
    results.push_back(pool.apply_async(slow, static_cast<int>(random() % 3)));
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::vector<AsyncResult<int>> mine(
          results.begin() + static_cast<std::ptrdiff_t>(t * 50), results.end());
      std::size_t n = 0;
      for (auto& result : pinion::as_completed(mine)) {
        if (!result.ready()) ++wrong;
        ++n;
      }
      if (n != mine.size()) ++wrong;
      const auto any = pinion::wait_any(mine);
      if (!mine[any].ready()) ++wrong;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("cancel and terminate end a wait") {
  PoolOptions options{.processes = 1};
  CheckedPool pool(options);
  std::vector<AsyncResult<int>> results{pool.apply_async(slow, 30), pool.apply_async(slow, 400)};
  std::thread other([&] {
    std::this_thread::sleep_for(60ms);
    pool.terminate();
  });
  int ended = 0;
  for (auto& result : pinion::as_completed(results)) {
    ++ended;
    CHECK(result.ready());
  }
  CHECK(ended == 2);
  other.join();
}
