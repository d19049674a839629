// pinion::Worker: one function in a process of its own, and its result.
#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <type_traits>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::ExitStatus;
using pinion::Task;
using pinion::Worker;
using pinion::WorkerLost;

namespace {

int square(int x) { return x * x; }
void nothing() {}
pid_t own_pid() { return ::getpid(); }
std::string repeat(const std::string& text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}
int fail(int n) { throw std::out_of_range("failed with " + std::to_string(n)); }
int leave(int n) { std::exit(n); }
int die(int number) {
  ::raise(number);
  return 0;
}
int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
Task<int> nap(int ms) {
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}
Task<> nap_long() { co_await pinion::sleep_for(std::chrono::hours(1)); }

/// The exit status that a lost worker is said to have had.
template <class R>
ExitStatus lost_with(Worker<R>& worker) {
  try {
    worker.get();
  } catch (const WorkerLost& lost) {
    CHECK(lost.pid() == worker.pid());
    return lost.status();
  }
  return {};
}

}  // namespace

TEST_CASE("a worker gives the result of its function, from a process of its own") {
  Worker<int> worker(square, 7);
  worker.start();
  CHECK(worker.get() == 49);
  CHECK(&worker.get() == &worker.get());
  CHECK(worker.join() == ExitStatus::exited(0));
  CHECK(worker.exit_status() == ExitStatus::exited(0));

  Worker pid(own_pid);
  static_assert(std::is_same_v<decltype(pid), Worker<pid_t>>);
  const pid_t its_own = pid.get();  // starts it
  CHECK(its_own == pid.pid());
  CHECK(its_own != ::getpid());
  CHECK_THROWS_AS(pid.start(), std::logic_error);

  Worker empty(nothing);
  empty.get();
  CHECK(empty.join() == ExitStatus::exited(0));
}

TEST_CASE("large arguments and results, lambdas, and coroutines") {
  Worker text(repeat, "0123456789", 1'000'000);
  CHECK(text.get().size() == 10'000'000);
  Worker sum([](int a, int b) { return a + b; }, 3, 4);
  CHECK(sum.get() == 7);
  Worker coroutine(nap, 20);
  CHECK(coroutine.get() == 20);
}

TEST_CASE("its function's exceptions come back as from a pool") {
  Worker worker(fail, 3);
  CHECK_THROWS_AS(worker.get(), std::out_of_range);
  CHECK_THROWS_AS(worker.get(), pinion::RemoteError);
  CHECK(error_of([&] { worker.get(); }).find("failed with 3") != std::string::npos);
  CHECK(worker.join() == ExitStatus::exited(1));
}

TEST_CASE("one that dies is lost, with its exact exit status") {
  Worker left(leave, 9);
  CHECK(lost_with(left) == ExitStatus::exited(9));
  CHECK(left.join() == ExitStatus::exited(9));
  Worker killed(die, SIGKILL);
  CHECK(lost_with(killed) == ExitStatus::signaled(SIGKILL));
  Worker ended(nap_long);
  ended.start();
  ended.terminate();
  CHECK(lost_with(ended) == ExitStatus::signaled(SIGTERM));
}

TEST_CASE("one that is killed at any moment is lost, and its function does not run again") {
  for (int i = 0; i < 15; ++i) {
    Worker worker(nap_long);
    worker.start();
    std::this_thread::sleep_for(std::chrono::microseconds(i * 20));
    worker.kill();
    REQUIRE(lost_with(worker) == ExitStatus::signaled(SIGKILL));
    REQUIRE(worker.join() == ExitStatus::signaled(SIGKILL));
  }
}

TEST_CASE("a wait has a limit") {
  Worker worker(slow, 100);
  CHECK_THROWS_AS(worker.get(1ms), pinion::WaitTimeout);
  CHECK(worker.get(20s) == 100);
}

TEST_CASE("a result may outlive its worker") {
  pinion::AsyncResult<int> result;
  {
    Worker worker(square, 5);
    result = worker.result();
  }
  CHECK(result.get() == 25);
}

TEST_CASE("closed, it has no result any more, but for handles of it") {
  Worker worker(square, 5);
  CHECK(worker.get() == 25);
  const auto kept = worker.result();
  worker.join();
  worker.close();
  CHECK_THROWS_AS(worker.get(), std::logic_error);
  CHECK(worker.exit_status() == ExitStatus::exited(0));
  CHECK(kept.get() == 25);
}

TEST_CASE("workers are awaited in a loop") {
  auto all = []() -> Task<int> {
    Worker one(square, 3);
    const int& nine = co_await one;
    Worker two(nap, 10);
    Worker three(slow, 10);
    const auto both =
        co_await pinion::when_all(pinion::as_task(two.result()), pinion::as_task(three.result()));
    Worker four(fail, 4);
    int caught = 0;
    try {
      (void)co_await four;
    } catch (const std::out_of_range&) {
      caught = 1000;
    }
    Worker five(nothing);
    co_await five;
    co_return nine + std::get<0>(both) + std::get<1>(both) + caught;
  };
  CHECK(pinion::run(all()) == 1029);
}
