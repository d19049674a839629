// A storm of coroutines that await results, with limits, cancellations and deaths.
#include <doctest/doctest.h>

#include <csignal>
#include <random>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::Cancelled;
using pinion::Task;

namespace {

int square(int x) { return x * x; }
void nothing() {}
int die(int) {
  ::raise(SIGKILL);
  return 0;
}
Task<int> nap(int ms) {
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}

}  // namespace

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
