#include <doctest/doctest.h>

#include <unistd.h>

#include <pinion/task_group.hpp>
#include <pinion/when_any.hpp>
#include <pinion/with_timeout.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/unit/loop_helpers.hpp"

using namespace pinion;
using namespace pinion::tests;
using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;

namespace {

Task<> add_after(Duration delay, int& sum, int value) {
  co_await sleep_for(delay);
  sum += value;
}
Task<> fail_after(Duration delay, std::string text) {
  co_await sleep_for(delay);
  throw std::out_of_range(text);
}
Task<> note_end(std::vector<std::string>& notes, std::string name) {
  try {
    co_await sleep_for(1h);
  } catch (const Cancelled&) {
    notes.push_back(name);
    throw;
  }
}
Task<> read_for_ever(int fd) { co_await read_some(fd, 10); }

}  // namespace

TEST_CASE("a group waits for all its tasks, also for those that they start") {
  Loop loop(IoBackend::automatic);
  int sum = 0;
  auto task = [](int& total) -> Task<> {
    TaskGroup group;
    co_await group.wait();  // of none
    for (int i = 1; i <= 100; ++i) group.start(add_after(i % 7 * 1ms, total, i));
    auto start_more = [](TaskGroup& of, int& t) -> Task<> {
      co_await sleep_for(8ms);
      of.start(add_after(2ms, t, 1000));
    };
    group.start(start_more(group, total));
    CHECK(group.running() == 101);
    CHECK(total == 0);  // they begin later
    co_await group.wait();
    CHECK(group.running() == 0);
    group.start(add_after(1ms, total, 10'000));  // and again
    co_await group.wait();
  };
  run_task(loop, task(sum));
  CHECK(sum == 5050 + 1000 + 10'000);
}

TEST_CASE("the first error cancels the rest, and wait throws it when all have ended") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    std::vector<std::string> notes;
    int sum = 0;
    auto task = [](int fd, std::vector<std::string>& list, int& total) -> Task<> {
      TaskGroup group;
      group.start(note_end(list, "one"));
      group.start(read_for_ever(fd));
      group.start(fail_after(5ms, "first"));
      group.start(fail_after(1h, "never"));
      group.start(add_after(1ms, total, 1));
      try {
        co_await group.wait();
      } catch (const std::out_of_range& error) {
        list.push_back(error.what());
      }
      CHECK(group.running() == 0);
      group.start(add_after(0ms, total, 100));  // dropped
      co_await sleep_for(1ms);                  // the owner itself was not cancelled
      co_await group.wait();
    };
    CHECK_THROWS_WITH_AS(run_task(loop, task(pipe.out.get(), notes, sum)), "first",
                         std::out_of_range);
    CHECK(notes == std::vector<std::string>{"one", "first"});
    CHECK(sum == 1);
    CHECK_FALSE(loop.in_flight());
  });
}

TEST_CASE("tasks that have not begun when another one fails never do") {
  Loop loop(IoBackend::automatic);
  int sum = 0;
  auto task = [](int& total) -> Task<> {
    auto fail = []() -> Task<> {
      throw std::out_of_range("at once");
      co_return;
    };
    auto add = [](int& t) -> Task<> {
      ++t;
      co_return;
    };
    TaskGroup group;
    group.start(add(total));
    group.start(fail());
    group.start(add(total));
    co_await group.wait();
  };
  CHECK_THROWS_AS(run_task(loop, task(sum)), std::out_of_range);
  CHECK(sum == 1);
}

TEST_CASE("a group that cancels itself ends without an error") {
  Loop loop(IoBackend::automatic);
  std::vector<std::string> notes;
  auto task = [](std::vector<std::string>& list) -> Task<> {
    TaskGroup group;
    group.start(note_end(list, "one"));
    group.start(note_end(list, "two"));
    co_await sleep_for(2ms);
    group.cancel();
    group.start(note_end(list, "dropped"));
    co_await group.wait();
    list.push_back("waited");
  };
  run_task(loop, task(notes));
  CHECK(notes == std::vector<std::string>{"one", "two", "waited"});
}

TEST_CASE("a group's task that is cancelled cancels it, and waits for it all the same") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    std::vector<std::string> notes;
    auto task = [](int fd, std::vector<std::string>& list) -> Task<> {
      TaskGroup group;
      group.start(note_end(list, "child"));
      group.start(read_for_ever(fd));
      try {
        co_await group.wait();
      } catch (const Cancelled&) {
        list.push_back(group.running() == 0 ? "waited" : "too early");
        throw;
      }
    };
    Run run(loop, task(pipe.out.get(), notes));
    turn_until_waiting(loop, run);
    loop.cancel(run.root());
    while (!run.done()) run.step(os::now_ns() + 1000 * ms);
    CHECK_THROWS_AS(run.take(), Cancelled);
    CHECK(notes == std::vector<std::string>{"child", "waited"});
    CHECK_THROWS_AS(run_task(loop, with_timeout(2ms, task(pipe.out.get(), notes))), TaskTimeout);
    // Cancelled before its tasks began.
    Run early(loop, task(pipe.out.get(), notes));
    loop.run_ready(1);
    loop.cancel(early.root());
    while (!early.done()) early.step(os::now_ns() + 1000 * ms);
    CHECK_THROWS_AS(early.take(), Cancelled);
    CHECK_FALSE(loop.in_flight());
  });
}

TEST_CASE("a timeout around the wait ends the wait, and the group goes on") {
  Loop loop(IoBackend::automatic);
  int sum = 0;
  auto task = [](int& total) -> Task<> {
    auto wait_for = [](TaskGroup& other) -> Task<> { co_await other.wait(); };
    TaskGroup group;
    group.start(add_after(20ms, total, 1));
    bool timed_out = false;
    try {
      co_await with_timeout(2ms, wait_for(group));
    } catch (const TaskTimeout&) {
      timed_out = true;
    }
    CHECK(timed_out);
    CHECK(group.running() == 1);
    const auto first = co_await when_any(wait_for(group), sleep_long());
    CHECK(first.index() == 0);
    CHECK(total == 1);
    co_await group.wait();
  };
  run_task(loop, task(sum));
  CHECK(sum == 1);
}

TEST_CASE("a group that is destroyed too early destroys its tasks, and their buffers are free") {
  on_each_backend([](Loop& loop) {
    for (int round = 0; round < 20; ++round) {
      Pipe pipe;
      auto careless = [](int fd, int turns) -> Task<> {
        TaskGroup group;
        for (int i = 0; i < 5; ++i) group.start(read_for_ever(fd));
        for (int i = 0; i < turns; ++i) co_await yield();
        throw std::out_of_range("forgot to wait");
      };
      CHECK_THROWS_AS(run_task(loop, careless(pipe.out.get(), round % 4)), std::out_of_range);
      CHECK_FALSE(loop.in_flight());
      CHECK(run_task(loop, write_some(pipe.in.get(), "kept")) == 4);
      CHECK(run_task(loop, read_some(pipe.out.get(), 10)) == "kept");
      {
        auto waiting = [](int fd) -> Task<> {
          TaskGroup group;
          group.start(read_for_ever(fd));
          co_await group.wait();
        };
        Run dropped(loop, waiting(pipe.out.get()));
        turn_until_waiting(loop, dropped);
      }
      CHECK_FALSE(loop.in_flight());
    }
  });
}

TEST_CASE("groups in groups: an error goes up and cancels on its way") {
  Loop loop(IoBackend::automatic);
  std::vector<std::string> notes;
  auto inner = [](std::vector<std::string>& list) -> Task<> {
    TaskGroup group;
    group.start(note_end(list, "inner"));
    group.start(fail_after(3ms, "deep"));
    co_await group.wait();
  };
  auto outer = [&inner](std::vector<std::string>& list) -> Task<> {
    TaskGroup group;
    group.start(note_end(list, "outer"));
    group.start(inner(list));
    co_await group.wait();
  };
  CHECK_THROWS_WITH_AS(run_task(loop, outer(notes)), "deep", std::out_of_range);
  CHECK(notes == std::vector<std::string>{"inner", "outer"});
}

TEST_CASE("20,000 tasks pass through a group, and each is gone when it has ended") {
  Loop loop(IoBackend::automatic);
  static int alive = 0;
  static int most = 0;
  struct Counted {
    Counted() { most = std::max(most, ++alive); }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --alive; }
  };
  auto task = []() -> Task<> {
    auto child = []() -> Task<> {
      const Counted here;
      co_await yield();
    };
    TaskGroup group;
    for (int i = 0; i < 20'000; ++i) {
      group.start(child());
      if (group.running() > 10) co_await yield();
    }
    co_await group.wait();
  };
  run_task(loop, task());
  CHECK(alive == 0);
  CHECK(most < 100);
}

TEST_CASE("misuse is a logic_error") {
  Loop loop(IoBackend::automatic);
  CHECK_THROWS_AS(TaskGroup(), std::logic_error);
  auto start_moved = []() -> Task<> {
    TaskGroup group;
    Task<> task = sleep_long();
    const Task<> other = std::move(task);
    CHECK_THROWS_AS(group.start(std::move(task)), std::logic_error);
    co_return;
  };
  run_task(loop, start_moved());
  auto wait_twice = []() -> Task<> {
    TaskGroup group;
    auto wait_for = [](TaskGroup& other) -> Task<> { co_await other.wait(); };
    group.start(wait_for(group));
    group.start(sleep_long());
    co_await group.wait();
  };
  CHECK_THROWS_AS(run_task(loop, wait_twice()), std::logic_error);
}
