#include <doctest/doctest.h>

#include <pinion/errors.hpp>
#include <pinion/sleep.hpp>
#include <pinion/task.hpp>
#include <pinion/time_limit.hpp>
#include <pinion/when_all.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/loop/run_task.hpp"

using namespace pinion;
using namespace std::chrono_literals;
using loop::Loop;
using loop::run_task;

namespace {

/// Counts how often it was made, moved and destroyed.
struct Counted {
  static inline int alive = 0;
  static inline int copies = 0;
  int value;
  explicit Counted(int v) : value(v) { ++alive; }
  Counted(const Counted& o) : value(o.value) { ++alive, ++copies; }
  Counted(Counted&& o) noexcept : value(std::exchange(o.value, -1)) { ++alive; }
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --alive; }
};

/// No default constructor, no copy.
struct Strict {
  explicit Strict(int v) : value(std::make_unique<int>(v)) {}
  std::unique_ptr<int> value;
};

Task<int> give(int value) { co_return value; }
Task<> nothing() { co_return; }
Task<int> fail(const char* text) {
  throw std::out_of_range(text);
  co_return 0;
}
Task<int> after(Duration delay, int value) {
  co_await sleep_for(delay);
  co_return value;
}
Task<int> fail_after(Duration delay, std::string text) {
  co_await sleep_for(delay);
  throw std::runtime_error(text);
}

/// A chain of tasks that notes how much stack it used.
struct Chain {
  static inline std::uintptr_t lowest = 0;
  static inline std::uintptr_t highest = 0;

  static void note_stack() {
    const auto at = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    lowest = std::min(lowest, at);
    highest = std::max(highest, at);
  }
  static Task<int> of(int depth) {
    note_stack();
    if (depth == 0) co_return 0;
    co_return 1 + co_await of(depth - 1);
  }
  static std::uintptr_t stack_of(int depth);
};

template <class T>
T run(Task<T> task) {
  Loop loop(IoBackend::poll);
  return run_task(loop, std::move(task));
}

std::uintptr_t Chain::stack_of(int depth) {
  lowest = ~std::uintptr_t{0};
  highest = 0;
  CHECK(run(of(depth)) == depth);
  return highest - lowest;
}

}  // namespace

TEST_CASE("a task does not begin before it is awaited") {
  bool began = false;
  auto note = [](bool& flag) -> Task<> {
    flag = true;
    co_return;
  };
  {
    Task<> dropped = note(began);
    CHECK(dropped.valid());
  }
  CHECK_FALSE(began);
  run(note(began));
  CHECK(began);
}

TEST_CASE("a task gives its value, moved and never copied") {
  Counted::copies = 0;
  {
    auto make = [](Counted argument) -> Task<Counted> { co_return std::move(argument); };
    auto pass = [](Task<Counted> inner) -> Task<Counted> {
      Counted result = co_await std::move(inner);
      ++result.value;
      co_return result;
    };
    const Counted end = run(pass(make(Counted(41))));
    CHECK(end.value == 42);
    CHECK(Counted::alive == 1);
  }
  CHECK(Counted::copies == 0);
  CHECK(Counted::alive == 0);
}

TEST_CASE("a result needs no default constructor and no copy") {
  auto make = []() -> Task<Strict> { co_return Strict(7); };
  CHECK(*run(make()).value == 7);
}

TEST_CASE("a frame and its parameters are gone when a task is dropped before it began") {
  auto keep = [](Counted argument) -> Task<int> { co_return argument.value; };
  {
    Task<int> task = keep(Counted(1));
    CHECK(Counted::alive == 1);
    Task<int> moved = std::move(task);
    CHECK_FALSE(task.valid());  // NOLINT: that is what is tested
    moved = give(2);
    CHECK(Counted::alive == 0);
    CHECK(run(std::move(moved)) == 2);
  }
}

TEST_CASE("an exception passes through every task above it (edge case 74)") {
  auto middle = []() -> Task<std::string> {
    try {
      co_await fail("first");
    } catch (const std::out_of_range& error) {
      co_return error.what();
    }
    co_return "none";
  };
  CHECK(run(middle()) == "first");
  CHECK_THROWS_WITH_AS(run(fail("second")), "second", std::out_of_range);
}

TEST_CASE("a task that was awaited or moved from cannot be awaited again") {
  auto twice = []() -> Task<int> {
    Task<int> once = give(1);
    const int first = co_await std::move(once);
    co_return first + co_await std::move(once);
  };
  CHECK_THROWS_AS(run(twice()), std::logic_error);
}

TEST_CASE("a million awaits in a row cost no stack, whatever the optimisation") {
  auto loop_of = [](int n) -> Task<long> {
    long sum = 0;
    for (int i = 0; i < n; ++i) sum += co_await give(i);
    co_return sum;
  };
  CHECK(run(loop_of(1'000'000)) == 499'999'500'000L);
}

TEST_CASE("a long chain of tasks costs no stack where the compiler makes tail calls") {
  const std::uintptr_t stack_of_500 = Chain::stack_of(500);
  const bool tail_calls = Chain::stack_of(1000) < stack_of_500 + 1000;
  MESSAGE("tail calls: " << tail_calls);
  CHECK(Chain::stack_of(2000) < 4'000'000);
  if (tail_calls) CHECK(Chain::stack_of(200'000) < stack_of_500 + 1000);
}

TEST_CASE("a task that an awaitable moves to another thread goes on there") {
  struct ToThread {
    std::thread& thread;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const {
      thread = std::thread([waiter] { waiter.resume(); });
    }
    void await_resume() const noexcept {}
  };
  for (int round = 0; round < 200; ++round) {
    std::thread thread;
    std::atomic<int> result = 0;
    auto inner = [](std::thread& t) -> Task<int> {
      co_await ToThread{t};
      co_return 7;
    };
    auto outer = [inner](std::thread& t) -> Task<int> { co_return 1 + co_await inner(t); };
    auto drive = [](Task<int> task, std::atomic<int>& out) -> detail::Detached {
      out = co_await std::move(task);
    };
    drive(outer(thread), result).release().resume();
    thread.join();
    CHECK(result == 8);
  }
}

TEST_CASE("a frame may be freed on another thread") {
  for (int round = 0; round < 100; ++round) {
    auto task = std::make_unique<Task<int>>(give(round));
    std::thread([moved = std::move(task)]() mutable { moved.reset(); }).join();
  }
  CHECK(run(give(3)) == 3);
}

TEST_CASE("creating, running and destroying a task costs nanoseconds") {
  auto loop_of = [](int n) -> Task<long> {
    long sum = 0;
    for (int i = 0; i < n; ++i) sum += co_await give(i);
    co_return sum;
  };
  constexpr int n = 1'000'000;
  std::int64_t best_ns = os::never_ns;
  for (int round = 0; round < 5; ++round) {
    const std::int64_t start = os::now_ns();
    run(loop_of(n));
    best_ns = std::min(best_ns, os::now_ns() - start);
  }
  MESSAGE("ns per task: " << static_cast<double>(best_ns) / n);
  CHECK(best_ns < std::int64_t{2'000} * n);  // a bound that sanitizers keep as well
}

TEST_CASE("when_all runs its tasks at once and gives their results in order") {
  const std::int64_t start = os::now_ns();
  auto [a, b, c] = run(when_all(after(60ms, 1), give(2), nothing()));
  CHECK(a == 1);
  CHECK(b == 2);
  CHECK(c == std::monostate{});
  std::vector<Task<int>> many;
  for (int i = 0; i < 100; ++i) many.push_back(after(std::chrono::milliseconds(100 - i), i));
  const std::vector<int> results = run(when_all(std::move(many)));
  REQUIRE(results.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(results[static_cast<std::size_t>(i)] == i);
  CHECK(os::now_ns() - start < 1'000'000'000);
}

TEST_CASE("when_all of nothing is done at once") {
  CHECK(run(when_all()) == std::tuple<>());
  CHECK(run(when_all(std::vector<Task<int>>())).empty());
  CHECK(run(when_all(std::vector<Task<bool>>())).empty());
}

TEST_CASE("when_all waits for all tasks and throws the first error by position") {
  int ended = 0;
  auto count = [](int& counter) -> Task<int> {
    co_await sleep_for(30ms);
    co_return ++counter;
  };
  CHECK_THROWS_WITH(run(when_all(count(ended), fail_after(20ms, "late"), fail("early"))), "late");
  CHECK(ended == 1);
  std::vector<Task<int>> tasks;
  tasks.push_back(fail_after(10ms, "zero"));
  tasks.push_back(fail("one"));
  tasks.push_back(count(ended));
  CHECK_THROWS_WITH(run(when_all(std::move(tasks))), "zero");
  CHECK(ended == 2);
}

TEST_CASE("when_all refuses a task that is not there any more") {
  Task<int> task = give(1);
  Task<int> taken = std::move(task);
  CHECK_THROWS_AS(run(when_all(std::move(task), std::move(taken))), std::logic_error);
}

TEST_CASE("the tasks of a when_all are destroyed with it") {
  auto keep = [](Counted argument) -> Task<int> {
    co_await sleep_for(1h);
    co_return argument.value;
  };
  {
    Loop loop(IoBackend::poll);
    loop::Run<std::tuple<int, int>> running(loop, when_all(keep(Counted(1)), keep(Counted(2))));
    running.step();
    CHECK(loop.in_flight());
    CHECK(Counted::alive == 2);
  }
  CHECK(Counted::alive == 0);
}

TEST_CASE("a detached coroutine is gone before its completion is called") {
  struct Seen {
    int alive_then = -1;
  } seen;
  auto drive = [](Counted argument, Task<int> task) -> detail::Detached {
    argument.value = co_await std::move(task);
  };
  Loop loop(IoBackend::poll);
  loop::Root root;
  loop.start(
      root,
      drive(Counted(1), give(2))
          .release([](void* s) noexcept { static_cast<Seen*>(s)->alive_then = Counted::alive; },
                   &seen));
  CHECK(Counted::alive == 1);
  CHECK(loop.run_ready(1));
  CHECK(seen.alive_then == 0);
  CHECK_FALSE(loop.run_ready(1));
}
