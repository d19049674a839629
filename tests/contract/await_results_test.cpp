// co_await of a pool's results, in the loop of a thread of the caller's.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <span>
#include <stdexcept>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::AsyncResult;
using pinion::Cancelled;
using pinion::Task;

namespace {

int square(int x) { return x * x; }
void nothing() {}
int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
std::string text_of(std::size_t n) { return std::string(n, 't'); }
int fail(int n) { throw std::out_of_range("failed with " + std::to_string(n)); }
int die(int) {
  ::raise(SIGKILL);
  return 0;
}
Task<int> nap(int ms) {
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}
Task<> sleep_long() { co_await pinion::sleep_for(std::chrono::hours(1)); }

std::int64_t cpu_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

template <class Error, class T>
Task<bool> throws(AsyncResult<T> result) {
  try {
    co_await result;
  } catch (const Error&) {
    co_return true;
  }
  co_return false;
}

}  // namespace

TEST_CASE("a result that is awaited gives its value") {
  CheckedPool pool(2);
  auto all = [](pinion::Pool& p) -> Task<int> {
    const AsyncResult<int> kept = p.apply_async(square, 3);
    const int& three = co_await kept;
    const int four = co_await p.apply_async(square, 4);
    co_await p.apply_async(nothing);
    const AsyncResult<void> empty = p.apply_async(nothing);
    co_await empty;
    const int& again = co_await kept;
    co_return &again == &three ? three + four : -1;
  };
  CHECK(pinion::run(all(pool)) == 25);
}

TEST_CASE("maps, large values, and what is moved out by the last handle") {
  CheckedPool pool(2);
  auto all = [](pinion::Pool& p) -> Task<> {
    const auto squares = co_await p.map_async(square, numbers(10'000));
    REQUIRE(squares.size() == 10'000);
    CHECK(squares[99] == 99 * 99);
    const std::string text = co_await p.apply_async(text_of, 300'000);
    CHECK(text == text_of(300'000));

    AsyncResult<std::vector<int>> result = p.map_async(square, numbers(100));
    const std::vector<int>& shared = co_await result;
    CHECK(&shared == &result.get());
    const int* const values = shared.data();
    const std::vector<int> moved = co_await std::move(result);
    CHECK(moved.data() == values);
    co_await p.map_async([](int) {}, numbers(10));
  };
  pinion::run(all(pool));
}

TEST_CASE("errors are thrown as by get, a new object each time") {
  CheckedPool pool(2);
  auto all = [](pinion::Pool& p) -> Task<> {
    const auto failed = p.apply_async(fail, 5);
    for (int i = 0; i < 2; ++i) {
      std::string text;
      try {
        co_await failed;
      } catch (const std::out_of_range& error) {
        const auto* const remote = dynamic_cast<const pinion::RemoteError*>(&error);
        CHECK((remote != nullptr) == workers_are_processes());
        text = error.what();
      }
      CHECK(text.find("failed with 5") != std::string::npos);
    }
    const bool thrown = co_await throws<std::out_of_range>(p.map_async(fail, numbers(3)));
    CHECK(thrown);
  };
  pinion::run(all(pool));
}

TEST_CASE("outside a running loop, and of an empty handle, it is refused") {
  CheckedPool pool(1);
  auto hollow = []() -> Task<> {
    const AsyncResult<int> empty;
    (void)co_await empty;
  };
  CHECK_THROWS_AS(pinion::run(hollow()), std::logic_error);
}

TEST_CASE("many coroutines await one result, from two loops, and some give up") {
  CheckedPool pool(2);
  const AsyncResult<int> result = pool.apply_async(slow, 100);
  auto await_it = [](AsyncResult<int> r) -> Task<int> { co_return co_await r; };
  auto all = [&](AsyncResult<int> r) -> Task<int> {
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 50; ++i) tasks.push_back(await_it(r));
    int expired = 0;
    for (int i = 0; i < 5; ++i) {
      try {
        (void)co_await pinion::with_timeout(1ms, await_it(r));
      } catch (const pinion::TaskTimeout&) {
        ++expired;
      }
    }
    int right = 0;
    const auto values = co_await pinion::when_all(std::move(tasks));
    for (const int value : values) right += value == 100 ? 1 : 0;
    co_return right * 100 + expired;
  };
  int other = 0;
  std::thread thread([&] { other = pinion::run(all(result)); });
  CHECK(pinion::run(all(result)) == 5005);
  thread.join();
  CHECK(other == 5005);
}

TEST_CASE("a limit around the await ends the waiting only; cancel ends the task") {
  CheckedPool pool(1);
  auto all = [](pinion::Pool& p) -> Task<> {
    const AsyncResult<int> first = p.apply_async(nap, 50);
    bool expired = false;
    try {
      (void)co_await pinion::with_timeout(5ms, pinion::as_task(first));
    } catch (const pinion::TaskTimeout&) {
      expired = true;
    }
    CHECK(expired);
    const int slept = co_await first;
    CHECK(slept == 50);

    const AsyncResult<void> endless = p.apply_async(sleep_long);
    auto cancel_soon = [](AsyncResult<void> r) -> Task<> {
      co_await pinion::sleep_for(5ms);
      static_cast<void>(r.cancel());
    };
    const auto ends = co_await pinion::when_all(throws<Cancelled>(endless), cancel_soon(endless));
    CHECK(std::get<0>(ends));
  };
  pinion::run(all(pool));
}

TEST_CASE("the loser of a race is forgotten, and its task goes on") {
  CheckedPool pool(2);
  auto all = [](pinion::Pool& p) -> Task<> {
    const AsyncResult<int> loser = p.apply_async(slow, 100);
    const auto first = co_await pinion::when_any(pinion::as_task(loser),
                                                 pinion::as_task(p.apply_async(square, 2)));
    CHECK(first.index() == 1);
    const int value = co_await loser;
    CHECK(value == 100);
  };
  pinion::run(all(pool));
}

TEST_CASE("several pools, a timer and a pipe in one loop") {
  CheckedPool pool(1);
  CheckedPool other(1);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  auto all = [](pinion::Pool& a, pinion::Pool& b, int in, int out) -> Task<int> {
    auto read_one = [](int fd) -> Task<int> {
      std::byte byte{};
      co_return static_cast<int>(co_await pinion::io::read(fd, std::span(&byte, 1)));
    };
    auto chain = [](pinion::Pool& p, int n, int times) -> Task<int> {
      int sum = 0;
      for (int i = 0; i < times; ++i) sum += co_await p.apply_async(square, n);
      co_return sum;
    };
    auto write_at_last = [](pinion::Pool& p, int fd) -> Task<int> {
      const int value = co_await p.apply_async(slow, 30);
      const std::byte byte{1};
      (void)co_await pinion::io::write(fd, std::span(&byte, 1));
      co_return value;
    };
    auto [one, two, three, read, last] = co_await pinion::when_all(
        chain(a, 2, 300), chain(b, 3, 300), nap(10), read_one(in), write_at_last(a, out));
    co_return one + two + three + read + last;
  };
  CHECK(pinion::run(all(pool, other, ends[0], ends[1])) == 1200 + 2700 + 10 + 1 + 30);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("thousands of results at once, in any order") {
  CheckedPool pool(2);
  auto all = [](pinion::Pool& p) -> Task<std::int64_t> {
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 3000; ++i) tasks.push_back(pinion::as_task(p.apply_async(square, i % 50)));
    std::int64_t sum = 0;
    const auto values = co_await pinion::when_all(std::move(tasks));
    for (const int value : values) sum += value;
    co_return sum;
  };
  CHECK(pinion::run(all(pool)) == 60 * 40425);
}

TEST_CASE("the death of a worker, and the end of its pool, reach those who await") {
  if (left_out("workers are killed")) return;
  auto death = [](pinion::Pool& p) -> Task<bool> {
    co_return co_await throws<pinion::WorkerLost>(p.apply_async(die, 1));
  };
  {
    CheckedPool pool(1);
    CHECK(pinion::run(death(pool)));
  }
  {
    pinion::Pool pool(1);
    auto end = [](pinion::Pool& p) -> Task<bool> {
      auto terminate_soon = [](pinion::Pool& q) -> Task<> {
        co_await pinion::sleep_for(5ms);
        q.terminate();
      };
      const auto ends = co_await pinion::when_all(
          throws<pinion::PoolTerminated>(p.apply_async(slow, 60'000)), terminate_soon(p));
      co_return std::get<0>(ends);
    };
    CHECK(pinion::run(end(pool)));
  }
}

TEST_CASE("a pool may be made and ended within the loop, and its results outlive it") {
  auto all = []() -> Task<int> {
    AsyncResult<int> result;
    AsyncResult<int> awaited;
    auto await_it = [](AsyncResult<int> r) -> Task<> { (void)co_await r; };
    pinion::TaskGroup group;
    {
      CheckedPool pool(1);
      result = pool.apply_async(square, 6);
      awaited = pool.apply_async(slow, 20);
      group.start(await_it(awaited));
      co_await pinion::yield();
    }
    co_await group.wait();
    co_return co_await result;
  };
  CHECK(pinion::run(all()) == 36);
}

TEST_CASE("other threads wait for the same pool meanwhile") {
  CheckedPool pool(2);
  std::atomic<bool> over{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; !over; ++i)
        wrong += pool.apply(square, i % 100) == (i % 100) * (i % 100) ? 0 : 1;
    });
  }
  auto all = [](pinion::Pool& p) -> Task<int> {
    auto chain = [](pinion::Pool& q, int times) -> Task<int> {
      int right = 0;
      for (int i = 0; i < times; ++i) {
        const int value = co_await q.apply_async(square, i);
        right += value == i * i ? 1 : 0;
        if (i % 50 == 0) co_await pinion::sleep_for(200us);
      }
      co_return right;
    };
    auto [a, b, c] = co_await pinion::when_all(chain(p, 500), chain(p, 500), chain(p, 500));
    co_return a + b + c;
  };
  CHECK(pinion::run(all(pool)) == 1500);
  over = true;
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("who waits burns no core, and results come while a coroutine computes") {
  CheckedPool pool(1);
  auto wait_long = [](pinion::Pool& p) -> Task<int> {
    co_return co_await p.apply_async(slow, 1000);
  };
  const std::int64_t before = cpu_ns();
  CHECK(pinion::run(wait_long(pool)) == 1000);
  CHECK(cpu_ns() - before < 300'000'000);

  // A callback is called although the loop, which has an awaiter, does not turn.
  auto compute = [](pinion::Pool& p) -> Task<bool> {
    std::atomic<bool> called{false};
    const AsyncResult<int> awaited = p.apply_async(slow, 50);
    auto await_it = [](AsyncResult<int> r) -> Task<> { (void)co_await r; };
    pinion::TaskGroup group;
    group.start(await_it(awaited));
    co_await pinion::sleep_for(1ms);
    const auto other = p.apply_async(square, 3);
    other.on_success([&](int) { called = true; });
    const bool in_time = eventually([&] { return called.load(); }, 20s);
    co_await group.wait();
    co_return in_time;
  };
  CHECK(pinion::run(compute(pool)));
}

TEST_CASE("a storm of awaits, limits, cancellations and deaths") {
  auto random = seeded();
  CheckedPool pool(2);
  auto one = [](pinion::Pool& p, unsigned number) -> Task<int> {
    try {
      switch (number % 6) {
        case 0: {
          const int value = co_await p.apply_async(square, 7);
          co_return value == 49 ? 1 : 0;
        }
        case 1: {
          const auto result = p.apply_async(nap, static_cast<int>(number / 6 % 5));
          (void)co_await pinion::with_timeout(std::chrono::microseconds(number / 30 % 4000),
                                              pinion::as_task(result));
          co_return 1;
        }
        case 2: {
          const auto result = p.apply_async(nap, 2);
          if (number % 2 == 0) co_await pinion::sleep_for(1ms);
          static_cast<void>(result.cancel());
          (void)co_await result;
          co_return 1;
        }
        case 3: {
          const auto values = co_await p.map_async(square, numbers(50));
          co_return values[49] == 49 * 49 ? 1 : 0;
        }
        case 4: {
          const auto first = co_await pinion::when_any(pinion::as_task(p.apply_async(nap, 1)),
                                                       pinion::as_task(p.apply_async(square, 1)));
          co_return first.index() < 2 ? 1 : 0;
        }
        default: {
          if (number % 16 == 5 && workers_are_processes()) (void)co_await p.apply_async(die, 0);
          co_await p.apply_async(nothing);
          co_return 1;
        }
      }
    } catch (const Cancelled&) {
      co_return 1;
    } catch (const pinion::TaskTimeout&) {
      co_return 1;
    } catch (const pinion::WorkerLost&) {
      co_return 1;
    }
  };
  for (int round = 0; round < 10; ++round) {
    auto all = [&](pinion::Pool& p) -> Task<int> {
      std::vector<Task<int>> tasks;
      for (int i = 0; i < 60; ++i) tasks.push_back(one(p, static_cast<unsigned>(random())));
      int right = 0;
      const auto values = co_await pinion::when_all(std::move(tasks));
      for (const int value : values) right += value;
      co_return right;
    };
    REQUIRE(pinion::run(all(pool)) == 60);
  }
}
