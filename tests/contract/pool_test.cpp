// The pool by real processes: calls, maps, errors, deaths, ends.
#include <unistd.h>

#include <csignal>
#include <ranges>

#include "tests/contract/checks.hpp"

using namespace checks;

namespace {

int square(int x) { return x * x; }
std::string join(const std::string& a, const std::string& b) { return a + "-" + b; }
void nothing() {}
int fail_on_odd(int x) {
  if (x % 2 != 0) throw std::out_of_range("odd: " + std::to_string(x));
  return x;
}
int die(int signal) {
  ::raise(signal);
  return 0;
}
int leave(int code) { ::_exit(code); }
int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
pinion::Task<int> wait_and_add(int ms, int x) {
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return x + 1;
}

}  // namespace

TEST_CASE("apply gives what the function returns") {
  CheckedPool pool(2);
  CHECK(pool.apply(square, 7) == 49);
  CHECK(pool.apply(join, "left", "right") == "left-right");
  pool.apply(nothing);
  CHECK(pool.apply([](double x) { return x / 2; }, 3) == 1.5);
  int captured = 40;
  CHECK(pool.apply([captured](int x) { return captured + x; }, 2) == 42);
}

TEST_CASE("many applies in a row") {
  CheckedPool pool(2);
  for (int i = 0; i < 20000; ++i) REQUIRE(pool.apply(square, i % 1000) == (i % 1000) * (i % 1000));
}

TEST_CASE("workers are processes of their own, bound as the pool says") {
  if (left_out("they are not")) return;
  CheckedPool pool(2);
  const pid_t pid = pool.apply([] { return ::getpid(); });
  CHECK(pid != ::getpid());
  const auto workers = pool.workers();
  REQUIRE(workers.size() == 2);
  for (const auto& w : workers) {
    CHECK(w.pid > 0);
    CHECK(w.generation == 1);
    CHECK(w.state == pinion::WorkerInfo::State::ready);
  }
}

TEST_CASE("apply_async keeps many tasks in flight") {
  CheckedPool pool(2);
  std::vector<pinion::AsyncResult<int>> results;
  for (int i = 0; i < 5000; ++i) results.push_back(pool.apply_async(square, i));
  for (int i = 0; i < 5000; ++i) REQUIRE(results[static_cast<std::size_t>(i)].get() == i * i);
}

TEST_CASE("map keeps the order whatever the chunk (edge case 9)") {
  CheckedPool pool(2);
  const auto xs = numbers(1000);
  for (const int chunk : {1, 3, 100, 1000, 5000}) {
    const auto ys = pool.map(square, xs, chunk);
    REQUIRE(ys.size() == xs.size());
    for (std::size_t i = 0; i < xs.size(); ++i) REQUIRE(ys[i] == xs[i] * xs[i]);
  }
  const auto ys = pool.map(square, xs);
  for (std::size_t i = 0; i < xs.size(); ++i) REQUIRE(ys[i] == xs[i] * xs[i]);
  CHECK(pool.map(square, std::vector<int>{}).empty());
  pool.map([](int) {}, xs);
}

TEST_CASE("map of a million") {
  CheckedPool pool(2);
  const auto xs = numbers(1000000);
  const auto ys = pool.map([](int x) { return x + 1; }, xs);
  for (std::size_t i = 0; i < xs.size(); i += 997) REQUIRE(ys[i] == xs[i] + 1);
  const auto zs = pool.map([](int x) { return x + 1; }, xs, 1);
  for (std::size_t i = 0; i < xs.size(); i += 997) REQUIRE(zs[i] == xs[i] + 1);
}

TEST_CASE("strings travel both ways") {
  CheckedPool pool(2);
  std::vector<std::string> words;
  for (int i = 0; i < 500; ++i) words.push_back(std::string(static_cast<std::size_t>(i), 'x'));
  const auto doubled = pool.map([](const std::string& s) { return s + s; }, words);
  for (std::size_t i = 0; i < words.size(); ++i) REQUIRE(doubled[i] == words[i] + words[i]);
  const std::string large(3 << 20, 'y');
  CHECK(pool.apply([](std::string s) { return s; }, large) == large);
}

TEST_CASE("a raising task among good ones") {
  if (left_out("an error comes back as itself, and is no RemoteError")) return;
  CheckedPool pool(2);
  CHECK_THROWS_AS(pool.apply(fail_on_odd, 3), std::out_of_range);
  try {
    pool.map(fail_on_odd, std::vector<int>{0, 2, 5, 4, 3});
    FAIL("it must throw");
  } catch (const pinion::RemoteError& e) {
    CHECK(std::string(e.what()) == "odd: 5");
    CHECK(e.item() == 2);
  }
  CHECK(pool.apply(fail_on_odd, 4) == 4);
}

TEST_CASE("a worker that dies loses its task only, and is replaced") {
  if (left_out("a task ends its process")) return;
  CheckedPool pool(2);
  for (int i = 0; i < 5; ++i) {
    CHECK_THROWS_AS(pool.apply(die, SIGKILL), pinion::WorkerLost);
    CHECK(pool.apply(square, 3) == 9);
  }
  try {
    pool.apply(leave, 0);
    FAIL("it must throw");
  } catch (const pinion::WorkerLost& e) {
    CHECK(e.status() == pinion::ExitStatus::exited(0));
  }
  CHECK(pool.stats().deaths == 6);
}

TEST_CASE("of a chunk only the item that killed its worker is lost") {
  if (left_out("a task ends its process")) return;
  CheckedPool pool(2);
  auto f = [](int x) {
    if (x == 37) ::raise(SIGKILL);
    return x;
  };
  auto result = pool.map_async(f, numbers(100), 50);
  CHECK_THROWS_AS(result.get(), pinion::WorkerLost);
  const auto stats = pool.stats();
  CHECK(stats.completed == 99);
  CHECK(stats.failed == 1);
}

TEST_CASE("waiting has limits (edge case 2)") {
  CheckedPool pool(1);
  auto result = pool.apply_async(slow, 100);
  CHECK_THROWS_AS(result.get(5ms), pinion::WaitTimeout);
  CHECK_FALSE(result.wait(1ms));
  CHECK_THROWS_AS(static_cast<void>(result.successful()), pinion::NotReady);
  CHECK(result.get() == 100);
  CHECK(result.successful());
}

TEST_CASE("coroutine tasks wait side by side") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1, .child_concurrency = 16});
  const auto begin = std::chrono::steady_clock::now();
  std::vector<pinion::AsyncResult<int>> results;
  for (int i = 0; i < 16; ++i) results.push_back(pool.apply_async(wait_and_add, 100, i));
  for (int i = 0; i < 16; ++i) CHECK(results[static_cast<std::size_t>(i)].get() == i + 1);
  CHECK(std::chrono::steady_clock::now() - begin < 300ms);
  const auto mapped = pool.map([](int x) { return wait_and_add(1, x); }, numbers(40), 20);
  for (int i = 0; i < 40; ++i) CHECK(mapped[static_cast<std::size_t>(i)] == i + 1);
}

TEST_CASE("cancel ends what has not started") {
  CheckedPool pool(1);
  auto running = pool.apply_async(slow, 100);
  std::this_thread::sleep_for(20ms);
  auto waiting = pool.apply_async(square, 3);
  CHECK(waiting.cancel());
  CHECK_THROWS_AS(waiting.get(), pinion::Cancelled);
  CHECK_FALSE(running.cancel());
  CHECK(running.get() == 100);
  auto sleeping = pool.apply_async(wait_and_add, 10000, 1);
  std::this_thread::sleep_for(20ms);
  CHECK_FALSE(sleeping.cancel());
  CHECK_THROWS_AS(sleeping.get(), pinion::Cancelled);
}

TEST_CASE("a task that runs too long is killed, and its worker replaced") {
  CheckedPool pool(2);
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(pool.apply({.timeout = 50ms, .grace = 50ms}, slow, 5000), pinion::TaskTimeout);
  CHECK(std::chrono::steady_clock::now() - begin < 1s);
  CHECK_THROWS_AS(pool.apply({.timeout = 50ms}, wait_and_add, 5000, 1), pinion::TaskTimeout);
  CHECK(pool.apply(square, 2) == 4);
}

TEST_CASE("callbacks run once, ready by then") {
  CheckedPool pool(2);
  std::atomic<int> sum{0};
  std::atomic<int> errors{0};
  for (int i = 0; i < 100; ++i) {
    auto result = pool.apply_async(fail_on_odd, i);
    result.on_success([&](const int& x) { sum += x; });
    result.on_error([&](std::exception_ptr) { ++errors; });
  }
  pool.close();
  pool.join();
  CHECK(sum == 2450);
  CHECK(errors == 50);
}

TEST_CASE("after close nothing is accepted, and what was accepted finishes") {
  CheckedPool pool(2);
  auto result = pool.apply_async(slow, 50);
  pool.close();
  CHECK_THROWS_AS(pool.apply(square, 1), pinion::PoolClosed);
  pool.join();
  CHECK(result.get() == 50);
}

TEST_CASE("terminate ends everything at once (edge case 43)") {
  CheckedPool pool(2);
  std::vector<pinion::AsyncResult<int>> results;
  for (int i = 0; i < 20; ++i) results.push_back(pool.apply_async(slow, 10000));
  const auto begin = std::chrono::steady_clock::now();
  pool.terminate();
  pool.join();
  for (auto& r : results) CHECK_THROWS_AS(r.get(), pinion::PoolTerminated);
  CHECK(std::chrono::steady_clock::now() - begin < 1s);
}

TEST_CASE("handles outlive their pool (edge case 3)") {
  pinion::AsyncResult<std::string> late;
  {
    CheckedPool pool(1);
    late = pool.apply_async(join, "a", std::string(1000, 'b'));
  }
  CHECK(late.get().size() == 1002);
}

TEST_CASE("the initializer runs in each worker first, and its failure is told") {
  if (left_out("a task ends its process")) return;
  static int state = 0;
  CheckedPool pool(pinion::PoolOptions{.processes = 2,
                                       .initializer = pinion::call([](int x) { state = x; }, 42)});
  for (int i = 0; i < 10; ++i) CHECK(pool.apply([] { return state; }) == 42);
  CHECK_THROWS_AS(pool.apply(die, SIGKILL), pinion::WorkerLost);
  for (int i = 0; i < 10; ++i) CHECK(pool.apply([] { return state; }) == 42);
  try {
    CheckedPool bad(pinion::PoolOptions{.processes = 2, .initializer = pinion::call([] {
                                                          throw std::runtime_error("no licence");
                                                        })});
    FAIL("it must throw");
  } catch (const pinion::StartError& e) {
    CHECK(std::string(e.what()).find("no licence") != std::string::npos);
  }
}
