// One pool used by many threads, and many pools by one program.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::AsyncResult;
using pinion::PoolOptions;

namespace {

int square(int x) { return x * x; }
int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
pinion::Task<int> later(int x) {
  co_await pinion::sleep_for(1ms);
  co_return x;
}

/// Runs `f(i)` in `n` threads. Any check inside must be a plain comparison: doctest's are slow.
template <class F>
void in_threads(int n, F f) {
  std::vector<std::thread> threads;
  for (int i = 0; i < n; ++i) threads.emplace_back([&f, i] { f(i); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("eight threads submit and wait, each in its own way (edge case 59)") {
  NothingLeft nothing;
  CheckedPool pool(2);
  const auto end = Clock::now() + 2s;
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> items{0};
  in_threads(8, [&](int me) {
    for (int i = 0; Clock::now() < end; ++i) {
      const int x = me * 1000 + i % 1000;
      switch (me % 4) {
        case 0:
          wrong += pool.apply(square, x) != x * x;
          ++items;
          break;
        case 1: {
          std::vector<AsyncResult<int>> results;
          for (int k = 0; k < 50; ++k) results.push_back(pool.apply_async(square, x + k));
          for (int k = 49; k >= 0; --k) {
            wrong += results[std::size_t(k)].get() != (x + k) * (x + k);
          }
          items += 50;
          break;
        }
        case 2: {
          const auto all = pool.map(square, numbers(300), 1 + i % 60);
          for (int k = 0; k < 300; ++k) wrong += all[std::size_t(k)] != k * k;
          items += 300;
          break;
        }
        default: {
          const auto result = pool.apply_async(later, x);
          while (!result.wait(100us)) {
          }
          wrong += result.get() != x;
          ++items;
        }
      }
    }
  });
  CHECK(wrong == 0);
  CHECK(pool.stats().accepted == items);
  CHECK(pool.stats().completed == items);
  std::printf("%llu items\n", static_cast<unsigned long long>(items.load()));
}

TEST_CASE("six threads wait for the same handle (edge case 1)") {
  CheckedPool pool(2);
  std::atomic<int> right{0};
  for (int round = 0; round < 100; ++round) {
    const auto result = pool.apply_async(slow, round % 3);
    const auto map = pool.map_async(square, numbers(50), 7);
    in_threads(6, [&](int me) {
      AsyncResult<int> copy = result;
      right += me % 2 == 0 ? result.get() == round % 3 : std::move(copy).get(10s) == round % 3;
      right += map.get().at(49) == 49 * 49;
    });
  }
  CHECK(right == 1200);
}

TEST_CASE("six threads wait for the same error, each gets its own (edge case 26)") {
  CheckedPool pool(2);
  std::atomic<int> caught{0};
  for (int round = 0; round < 100; ++round) {
    const auto result = pool.apply_async(
        [](int ms) {
          slow(ms);
          throw std::out_of_range("theirs");
        },
        round % 3);
    in_threads(6, [&](int) { caught += error_of([&] { result.get(); }) == "theirs"; });
  }
  CHECK(caught == 600);
}

TEST_CASE("waits with and without limits, side by side") {
  if (left_out_in_place("the call has run when it returns")) return;
  CheckedPool pool(2);
  const auto long_one = pool.apply_async(slow, 300);
  std::atomic<int> timeouts{0};
  std::atomic<int> values{0};
  in_threads(6, [&](int me) {
    for (int i = 0; i < 20; ++i) {
      if (me < 3) {
        timeouts += !long_one.wait(1ms);
      } else {
        values += pool.apply(square, i) == i * i;
      }
    }
    values += long_one.get(5s) == 300;
  });
  CHECK(timeouts == 60);
  CHECK(values == 66);
}

TEST_CASE("two pools, two threads, and each one uses both") {
  NothingLeft nothing;
  CheckedPool first(1);
  CheckedPool second(2);
  std::atomic<std::uint64_t> wrong{0};
  in_threads(2, [&](int me) {
    pinion::Pool& mine = me == 0 ? first : second;
    pinion::Pool& other = me == 0 ? second : first;
    for (int i = 0; i < 2000; ++i) {
      const auto one = mine.apply_async(square, i);
      const auto two = other.apply_async(square, i + 1);
      wrong += one.get() != i * i;
      wrong += two.get() != (i + 1) * (i + 1);
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE(
    "pools are used and ended in other threads than they were made in, all at once (edge case "
    "45)") {
  for (int round = 0; round < 10; ++round) {
    NothingLeft nothing;
    std::vector<std::unique_ptr<CheckedPool>> pools;
    for (int i = 0; i < 4; ++i) pools.push_back(std::make_unique<CheckedPool>(1));
    std::atomic<int> right{0};
    in_threads(4, [&](int me) {
      auto pool = std::move(pools[std::size_t(me)]);
      right += pool->apply(square, me) == me * me;
      const auto last = pool->apply_async(square, 7);
      if (me == 0) pool->close();
      if (me == 1) pool->terminate();
      if (me == 2) pool->close(), pool->join();
      pool.reset();
      right += me == 1 || last.get() == 49;
    });
    CHECK(right == 8);
  }
}

TEST_CASE("with room for one or three, four threads submit all the same") {
  for (const std::size_t room : {1U, 3U}) {
    CAPTURE(room);
    CheckedPool pool(PoolOptions{.processes = 2, .max_pending = room});
    std::atomic<std::uint64_t> wrong{0};
    std::atomic<std::uint64_t> over{0};
    in_threads(4, [&](int me) {
      for (int i = 0; i < 400; ++i) {
        if (me == 3 && i % 4 == 0) {
          wrong += pool.apply(later, i) != i;
          continue;
        }
        const auto result = pool.apply_async(square, i);
        over += pool.stats().pending > room;
        if (me != 2) wrong += result.get() != i * i;  // one thread never waits
      }
    });
    CHECK(wrong == 0);
    CHECK(over == 0);
    CHECK(pool.stats().accepted == 1600);
  }
}

TEST_CASE("a map that is larger than the room for it, beside single tasks") {
  CheckedPool pool(PoolOptions{.processes = 2, .max_pending = 100});
  std::atomic<std::uint64_t> wrong{0};
  in_threads(3, [&](int me) {
    for (int i = 0; i < 20; ++i) {
      if (me == 0) {
        const auto all = pool.map(square, numbers(1000), 9);
        for (int k = 0; k < 1000; ++k) wrong += all[std::size_t(k)] != k * k;
      } else {
        for (int k = 0; k < 50; ++k) wrong += pool.apply(square, k) != k * k;
      }
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("one thread closes the pool while others submit: what was accepted has its value") {
  for (int round = 0; round < 20; ++round) {
    NothingLeft nothing;
    CheckedPool pool(2);
    std::atomic<std::uint64_t> accepted{0};
    std::atomic<std::uint64_t> refused{0};
    std::atomic<std::uint64_t> wrong{0};
    in_threads(4, [&](int me) {
      if (me == 0) {
        std::this_thread::sleep_for(2ms);
        pool.close();
        return;
      }
      for (int i = 0; refused < 3; ++i) {
        try {
          const auto result = pool.apply_async(square, i % 1000);
          ++accepted;
          wrong += result.get() != (i % 1000) * (i % 1000);
        } catch (const pinion::PoolClosed&) {
          ++refused;
          return;
        }
      }
    });
    CHECK(refused == 3);
    CHECK(wrong == 0);
    CHECK(pool.stats().accepted == accepted);
    pool.join();
  }
}

TEST_CASE("what nobody waits for ends all the same, and the accounts say so (edge case 75)") {
  CheckedPool pool(2);
  for (int i = 0; i < 100; ++i) pool.apply_async(square, i);
  pool.map_async(square, numbers(100), 10);
  CHECK(eventually([&] { return pool.stats().pending == 0; }, 3s));
  CHECK(pool.stats().completed == 200);
}
