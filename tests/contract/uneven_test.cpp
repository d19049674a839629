// Work of uneven length: nobody waits behind the long one.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::AsyncResult;

namespace {

int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
/// One of 0.4 s, then 150 of 1 ms: two workers need 0.4 s at best.
std::vector<int> long_one_first() {
  std::vector<int> all(151, 1);
  all.front() = 400;
  return all;
}
constexpr auto limit = 650ms;

}  // namespace

TEST_CASE("a long task first, and many short ones behind it, by apply_async") {
  CheckedPool pool(2);
  for (int round = 0; round < 2; ++round) {
    const auto begin = Clock::now();
    std::vector<AsyncResult<int>> results;
    for (const int ms : long_one_first()) results.push_back(pool.apply_async(slow, ms));
    for (const auto& result : results) CHECK(result.get(5s) > 0);
    CHECK(Clock::now() - begin < limit);
  }
}

TEST_CASE("a long item first in a map, whatever the chunk") {
  CheckedPool pool(2);
  const auto all = long_one_first();
  for (const int chunk : {0, 1, 10, 75}) {
    CAPTURE(chunk);
    const auto begin = Clock::now();
    const auto back = chunk == 0 ? pool.map(slow, all) : pool.map(slow, all, chunk);
    CHECK(Clock::now() - begin < limit);
    CHECK(back == all);
  }
}

TEST_CASE("a long item last in a map costs its own time only") {
  CheckedPool pool(2);
  auto all = long_one_first();
  std::reverse(all.begin(), all.end());
  const auto begin = Clock::now();
  CHECK(pool.map(slow, all) == all);
  CHECK(Clock::now() - begin < limit);
}

TEST_CASE("what is queued at a stuck worker is taken over (edge case 58)") {
  if (left_out_in_place("the call has run when it returns")) return;
  CheckedPool pool(2);
  for (int round = 0; round < 5; ++round) {
    // Short tasks make the pool believe in deep queues, so that some stand behind the stuck one.
    for (int i = 0; i < 2000; ++i) pool.apply([] {});
    const auto stuck = pool.apply_async(slow, 300);
    std::vector<AsyncResult<void>> results;
    for (int i = 0; i < 200; ++i) results.push_back(pool.apply_async([] {}));
    const auto begin = Clock::now();
    for (const auto& result : results) result.get(5s);
    CHECK(Clock::now() - begin < 20ms);
    CHECK_FALSE(stuck.ready());
    CHECK(stuck.get() == 300);
  }
}

TEST_CASE("every worker but one is stuck, and the map goes on") {
  CheckedPool pool(4);
  std::vector<AsyncResult<int>> stuck;
  for (int i = 0; i < 3; ++i) stuck.push_back(pool.apply_async(slow, 400));
  std::this_thread::sleep_for(20ms);
  const auto begin = Clock::now();
  CHECK(pool.map(slow, std::vector<int>(60, 1)).size() == 60);
  CHECK(Clock::now() - begin < 300ms);
  for (const auto& result : stuck) CHECK(result.get() == 400);
}
