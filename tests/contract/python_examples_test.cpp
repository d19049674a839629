// What the documentation of Python's pools does with them, by pinion.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <tuple>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::AsyncResult;
using pinion::PoolOptions;

namespace {

int f(int x) { return x * x; }
std::string greet(const std::string& name) { return "hello " + name; }

int mul(int a, int b) {
  std::this_thread::sleep_for(1ms);
  return a * b;
}
int plus(int a, int b) {
  std::this_thread::sleep_for(1ms);
  return a + b;
}
double inverse_of_distance_to_5(int x) {
  if (x == 5) throw std::domain_error("division by zero");
  return 1.0 / (x - 5.0);
}
void nap(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

pinion::Task<std::string> fetch(std::string address) {
  co_await pinion::sleep_for(5ms);
  co_return "<html>" + address + "</html>";
}

}  // namespace

TEST_CASE("a pool of four squares ten numbers") {
  NothingLeft nothing;
  CheckedPool pool(4);
  CHECK(pool.map(f, numbers(10)) == std::vector{0, 1, 4, 9, 16, 25, 36, 49, 64, 81});
  CHECK(pool.map(f, std::array{1, 2, 3}) == std::vector{1, 4, 9});
  CHECK(pool.map(pinion::fn<f>, std::views::iota(0, 4)) == std::vector{0, 1, 4, 9});
}

TEST_CASE("f(20) evaluated in another process is there within a second") {
  CheckedPool pool(4);
  const auto result = pool.apply_async(f, 20);
  CHECK(result.get(1s) == 400);
  CHECK(result.get(1s) == 400);
}

TEST_CASE("os.getpid() is evaluated in one of the workers") {
  if (left_out("all workers are in one process")) return;
  CheckedPool pool(4);
  std::set<pid_t> workers;
  for (const auto& worker : pool.workers()) workers.insert(worker.pid);
  CHECK(workers.size() == 4);
  const auto one = pool.apply_async(::getpid);
  CHECK(workers.count(one.get(1s)) == 1);

  std::vector<AsyncResult<pid_t>> several;
  for (int i = 0; i < 4; ++i) several.push_back(pool.apply_async(::getpid));
  for (const auto& result : several) {
    const pid_t pid = result.get(1s);
    CHECK(workers.count(pid) == 1);
    CHECK(pid != ::getpid());
  }
}

TEST_CASE("a sleep that is longer than the wait for it is a timeout, and may be waited for again") {
  if (left_out_in_place("the call has run when it returns")) return;
  CheckedPool pool(4);
  const auto result = pool.apply_async(nap, 300);
  const auto begin = Clock::now();
  CHECK_THROWS_AS(result.get(50ms), pinion::WaitTimeout);
  const auto waited = Clock::now() - begin;
  CHECK(waited >= 50ms);
  CHECK(waited < 250ms);
  CHECK_NOTHROW(result.get(5s));
}

TEST_CASE("while one task sleeps for long the pool can be terminated") {
  if (left_out("the task goes on")) return;
  NothingLeft nothing;
  CheckedPool pool(4);
  const auto result = pool.apply_async(nap, 10000);
  CHECK_THROWS_AS(result.get(20ms), pinion::WaitTimeout);
  pool.terminate();
  CHECK(pool.join(2s));
  CHECK_THROWS_AS(result.get(), pinion::PoolTerminated);
}

TEST_CASE("names are greeted in their order") {
  CheckedPool pool(2);
  const std::vector<std::string> names{"bob", "alice", "", "Jürgen"};
  CHECK(pool.map(greet, names) ==
        std::vector<std::string>{"hello bob", "hello alice", "hello ", "hello Jürgen"});
}

TEST_CASE("functions are arguments: the demonstration with calculate(mul, ...)") {
  CheckedPool pool(4);
  using Operation = int (*)(int, int);
  const auto calculate = [](Operation operation, int a, int b) { return operation(a, b); };
  std::vector<AsyncResult<int>> results;
  std::vector<int> expected;
  for (int i = 0; i < 20; ++i) {
    results.push_back(pool.apply_async(calculate, Operation{mul}, i, 7));
    expected.push_back(i * 7);
    results.push_back(pool.apply_async(calculate, Operation{plus}, i, 8));
    expected.push_back(i + 8);
  }
  for (std::size_t i = 0; i < results.size(); ++i) CHECK(results[i].get(5s) == expected[i]);
}

TEST_CASE("error handling: apply and map throw what the function threw") {
  CheckedPool pool(4);
  CHECK_THROWS_WITH_AS(pool.apply(inverse_of_distance_to_5, 5), "division by zero",
                       std::domain_error);
  CHECK_THROWS_WITH_AS(pool.map(inverse_of_distance_to_5, numbers(10)), "division by zero",
                       std::domain_error);
  CHECK(pool.map(inverse_of_distance_to_5, std::vector{4, 6}) == std::vector{-1.0, 1.0});
}

TEST_CASE("ready and successful before and after the end") {
  if (left_out_in_place("the call has run when it returns")) return;
  CheckedPool pool(1);
  const auto result = pool.apply_async(nap, 60);
  CHECK_FALSE(result.ready());
  CHECK_THROWS_AS(static_cast<void>(result.successful()), pinion::NotReady);
  CHECK(result.wait(5s));
  CHECK(result.ready());
  CHECK(result.successful());
  const auto failing = pool.apply_async(inverse_of_distance_to_5, 5);
  failing.wait();
  CHECK(failing.ready());
  CHECK_FALSE(failing.successful());
}

TEST_CASE("a map with a callback, closed and joined") {
  std::vector<int> seen;
  {
    CheckedPool pool(4);
    pool.map_async(f, numbers(10)).on_success([&](const std::vector<int>& all) { seen = all; });
    pool.close();
    pool.join();
    CHECK(seen == std::vector{0, 1, 4, 9, 16, 25, 36, 49, 64, 81});
  }
}

TEST_CASE("join before close is a misuse that is told") {
  CheckedPool pool(1);
  CHECK_THROWS_AS(pool.join(), std::logic_error);
  CHECK(pool.apply(f, 3) == 9);
}

TEST_CASE("many pages are fetched at once by coroutines, and come back in order") {
  CheckedPool pool(PoolOptions{.processes = 2, .child_concurrency = 32});
  std::vector<std::string> addresses;
  for (int i = 0; i < 64; ++i) addresses.push_back("https://example.org/" + std::to_string(i));
  const auto begin = Clock::now();
  const auto pages = pool.map(fetch, addresses);
  CHECK(Clock::now() - begin < 200ms);  // one after the other: 320 ms
  REQUIRE(pages.size() == 64);
  for (std::size_t i = 0; i < 64; ++i) CHECK(pages[i] == "<html>" + addresses[i] + "</html>");
  CHECK(pool.apply(fetch, "https://example.org") == "<html>https://example.org</html>");
}
