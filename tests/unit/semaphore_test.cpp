#include <doctest/doctest.h>

#include <pinion/semaphore.hpp>
#include <pinion/when_any.hpp>
#include <pinion/with_timeout.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <vector>

#include "tests/unit/loop_helpers.hpp"

using namespace pinion;
using namespace pinion::tests;
using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;

namespace {

Task<> take(Semaphore& semaphore, std::vector<int>& order, int name) {
  co_await semaphore.acquire();
  order.push_back(name);
}
Task<> hold(Semaphore& semaphore, Duration length) {
  const Semaphore::Permit permit = co_await semaphore.permit();
  co_await sleep_for(length);
}

}  // namespace

TEST_CASE("no more coroutines hold permits than there are") {
  Loop loop(IoBackend::automatic);
  Semaphore semaphore(3);
  int inside = 0;
  int most = 0;
  auto enter = [](Semaphore& s, int& now, int& max) -> Task<> {
    const Semaphore::Permit permit = co_await s.permit();
    max = std::max(max, ++now);
    co_await sleep_for(1ms);
    --now;
  };
  std::vector<Task<>> tasks;
  for (int i = 0; i < 50; ++i) tasks.push_back(enter(semaphore, inside, most));
  run_task(loop, when_all(std::move(tasks)));
  CHECK(most == 3);
  CHECK(inside == 0);
  CHECK(semaphore.available() == 3);
}

TEST_CASE("permits go to those who wait in their order, and nobody overtakes") {
  Loop loop(IoBackend::automatic);
  Semaphore semaphore(0);
  std::vector<int> order;
  auto give = [](Semaphore& s, std::vector<int>& list) -> Task<> {
    s.release();
    CHECK_FALSE(s.try_acquire());  // it is the first waiter's already
    auto release_later = [](Semaphore& of) -> Task<> {
      co_await sleep_for(5ms);
      CHECK_FALSE(of.try_acquire());
      of.release(3);
    };
    co_await when_all(take(s, list, 4), release_later(s));
  };
  run_task(loop, when_all(take(semaphore, order, 1), take(semaphore, order, 2),
                          take(semaphore, order, 3), give(semaphore, order)));
  CHECK(order == std::vector<int>{1, 2, 3, 4});
  CHECK(semaphore.available() == 0);
}

TEST_CASE("try_acquire takes what is there, and release adds") {
  Semaphore semaphore(1);
  CHECK(semaphore.try_acquire());
  CHECK_FALSE(semaphore.try_acquire());
  semaphore.release(2);
  CHECK(semaphore.available() == 2);
}

TEST_CASE("who is cancelled while waiting takes no permit, and the others go on") {
  Loop loop(IoBackend::automatic);
  Semaphore semaphore(1);
  std::vector<int> order;
  Run holder(loop, hold(semaphore, 20ms));
  Run first(loop, take(semaphore, order, 1));
  Run second(loop, take(semaphore, order, 2));
  while (loop.run_ready(64)) loop.poll();
  loop.cancel(first.root());
  while (!second.done() || !first.done()) second.step();
  CHECK_THROWS_AS(first.take(), Cancelled);
  CHECK(order == std::vector<int>{2});
  CHECK_THROWS_AS(run_task(loop, with_timeout(2ms, take(semaphore, order, 3))), TaskTimeout);
  semaphore.release();
  CHECK(semaphore.available() == 1);
}

TEST_CASE("a permit comes back from whoever is cancelled or destroyed with it") {
  Loop loop(IoBackend::automatic);
  Semaphore semaphore(1);
  std::vector<int> order;
  CHECK_THROWS_AS(run_task(loop, with_timeout(2ms, hold(semaphore, 1h))), TaskTimeout);
  CHECK(semaphore.available() == 1);
  {
    Run holder(loop, hold(semaphore, 1h));
    while (loop.run_ready(64)) loop.poll();
    CHECK(semaphore.available() == 0);
  }
  CHECK(semaphore.available() == 1);
  // Woken, and destroyed before it could go on: the next one gets it.
  CHECK(semaphore.try_acquire());
  Run next(loop, take(semaphore, order, 2));
  {
    auto woken = std::make_unique<Run<void>>(loop, take(semaphore, order, 1));
    auto other = std::make_unique<Run<void>>(loop, take(semaphore, order, 7));
    loop.run_ready(3);
    other.reset();  // never woken
    semaphore.release();
    semaphore.release();
    woken.reset();
  }
  CHECK(semaphore.available() == 1);
  while (!next.done()) next.step();
  CHECK(order == std::vector<int>{2});
}

TEST_CASE("a wait that nothing can end is an error and not a hang") {
  Loop loop(IoBackend::automatic);
  Semaphore semaphore(0);
  std::vector<int> order;
  CHECK_THROWS_AS(run_task(loop, take(semaphore, order, 1)), std::logic_error);
}

TEST_CASE("coroutines that wait for each other can be destroyed after their loop") {
  Semaphore semaphore(1);
  std::vector<int> order;
  loop::Root roots[3];
  std::vector<std::coroutine_handle<>> frames;
  auto drive = [](auto task) -> detail::Detached { co_await std::move(task); };
  {
    Loop loop(IoBackend::automatic);
    frames.push_back(drive(hold(semaphore, 1h)).release());
    frames.push_back(drive(with_timeout(1h, take(semaphore, order, 1))).release());
    frames.push_back(drive(take(semaphore, order, 2)).release());
    for (std::size_t i = 0; i < 3; ++i) loop.start(roots[i], frames[i]);
    loop.run_ready(3);
  }
  for (const auto frame : frames) frame.destroy();
  CHECK(order.empty());
}
