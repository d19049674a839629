#include <doctest/doctest.h>

#include <poll.h>
#include <unistd.h>

#include <pinion/when_any.hpp>
#include <pinion/with_timeout.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "tests/unit/loop_helpers.hpp"

using namespace pinion;
using namespace pinion::tests;
using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;
using os::Fd;

namespace {

Task<int> after(Duration delay, int value) {
  co_await sleep_for(delay);
  co_return value;
}
Task<int> fail_after(Duration delay, std::string text) {
  co_await sleep_for(delay);
  throw std::out_of_range(text);
}
Task<int> at_once(int value) { co_return value; }
/// Notes that it was cancelled, after it has let others go first as often as it can.
Task<> note_end(std::vector<std::string>& notes, std::string name) {
  try {
    co_await sleep_for(1h);
  } catch (const Cancelled&) {
    notes.push_back(name);
    throw;
  }
}
/// `task`, or -1 if its time is over.
Task<int> or_minus_one(Duration limit, Task<int> task) {
  try {
    co_return co_await with_timeout(limit, std::move(task));
  } catch (const TaskTimeout&) {
    co_return -1;
  }
}
template <class T>
bool throws_cancelled(Run<T>& run) {
  while (!run.done()) run.step(os::now_ns() + 1000 * ms);
  try {
    run.take();
  } catch (const Cancelled&) {
    return true;
  }
  return false;
}

}  // namespace

TEST_CASE("when_any gives the first result and which one it is, after the rest has ended") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    std::vector<std::string> notes;
    auto race = [](int fd, std::vector<std::string>& list) -> Task<int> {
      auto first = co_await when_any(read_some(fd, 10), after(10ms, 7), note_end(list, "one"),
                                     note_end(list, "two"), poll_for(fd, POLLIN));
      list.push_back("winner");
      CHECK(first.index() == 1);
      co_await sleep_for(1ms);  // the one who waited was not cancelled
      co_return std::get<1>(first);
    };
    CHECK(run_task(loop, race(pipe.out.get(), notes)) == 7);
    CHECK(notes == std::vector<std::string>{"one", "two", "winner"});
    CHECK_FALSE(loop.in_flight());
    // The read has taken nothing.
    CHECK(run_task(loop, write_some(pipe.in.get(), "kept")) == 4);
    CHECK(run_task(loop, read_some(pipe.out.get(), 10)) == "kept");
  });
}

TEST_CASE("when_any throws the error of the first that ends, and drops the others'") {
  Loop loop(IoBackend::automatic);
  CHECK_THROWS_WITH_AS(
      run_task(loop, when_any(after(1h, 1), fail_after(5ms, "first"), fail_after(1h, "never"))),
      "first", std::out_of_range);
  auto fail_when_cancelled = []() -> Task<int> {
    try {
      co_await sleep_for(1h);
    } catch (const Cancelled&) {
      throw std::logic_error("dropped");
    }
    co_return 0;
  };
  const auto first = run_task(loop, when_any(fail_when_cancelled(), after(5ms, 3)));
  CHECK(std::get<1>(first) == 3);
}

TEST_CASE("tasks after one that ends without waiting are not begun") {
  Loop loop(IoBackend::automatic);
  bool begun = false;
  auto note = [](bool& flag) -> Task<int> {
    flag = true;
    co_return 0;
  };
  const auto first = run_task(loop, when_any(after(1h, 1), at_once(2), note(begun)));
  CHECK(first.index() == 1);
  CHECK_FALSE(begun);
  CHECK_FALSE(loop.in_flight());
}

TEST_CASE("when_any of a vector, of none, and of a task that was awaited before") {
  Loop loop(IoBackend::automatic);
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 100; ++i) tasks.push_back(after(i == 42 ? 5ms : 10s, i));
  const FirstResult<int> first = run_task(loop, when_any(std::move(tasks)));
  CHECK(first.index == 42);
  CHECK(first.value == 42);
  CHECK_THROWS_AS((void)when_any(std::vector<Task<int>>()), std::invalid_argument);
  Task<int> moved = at_once(1);
  const Task<int> to = std::move(moved);
  CHECK_THROWS_AS((void)when_any(std::move(moved), at_once(2)), std::logic_error);
  CHECK_THROWS_AS((void)with_timeout(1s, std::move(moved)), std::logic_error);
}

TEST_CASE("with_timeout gives what the task gives, or TaskTimeout once it has ended") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    CHECK(run_task(loop, with_timeout(1h, after(1ms, 5))) == 5);
    CHECK(run_task(loop, with_timeout(1h, at_once(6))) == 6);
    CHECK(run_task(loop, with_timeout(std::chrono::hours::max(), after(1ms, 7))) == 7);
    run_task(loop, with_timeout(1h, write_later(pipe.in.get(), "x", 1ms)));
    CHECK(run_task(loop, with_timeout(1h, read_some(pipe.out.get(), 9))) == "x");
    CHECK_THROWS_AS(run_task(loop, with_timeout(1h, fail_after(1ms, "own"))), std::out_of_range);
    CHECK_THROWS_WITH_AS(run_task(loop, with_timeout(20ms, read_some(pipe.out.get(), 9))),
                         "with_timeout: the task ran longer than its 0.02 s", TaskTimeout);
    CHECK_THROWS_AS(run_task(loop, with_timeout(1ms, poll_for(pipe.out.get(), POLLIN))),
                    TaskTimeout);
    CHECK_FALSE(loop.in_flight());
    CHECK(run_task(loop, write_some(pipe.in.get(), "kept")) == 4);
    CHECK(run_task(loop, read_some(pipe.out.get(), 10)) == "kept");
  });
}

TEST_CASE("a limit of zero lets the task run until it waits") {
  Loop loop(IoBackend::automatic);
  CHECK(run_task(loop, with_timeout(0ms, at_once(1))) == 1);
  CHECK(run_task(loop, with_timeout(-1h, at_once(2))) == 2);
  CHECK_THROWS_AS(run_task(loop, with_timeout(0ms, after(1h, 3))), TaskTimeout);
}

TEST_CASE("a task that ends by itself after its time keeps its value or error") {
  Loop loop(IoBackend::automatic);
  auto swallow = [](bool fail) -> Task<int> {
    try {
      co_await sleep_for(1h);
    } catch (const Cancelled&) {
    }
    if (fail) throw std::out_of_range("late");
    co_return 9;
  };
  CHECK(run_task(loop, with_timeout(1ms, swallow(false))) == 9);
  CHECK_THROWS_WITH_AS(run_task(loop, with_timeout(1ms, swallow(true))), "late", std::out_of_range);
}

TEST_CASE("of two nested limits the one that is over says so") {
  Loop loop(IoBackend::automatic);
  auto outer = [](Duration first, Duration second) -> Task<std::string> {
    auto inner = [](Duration limit) -> Task<std::string> {
      try {
        co_await with_timeout(limit, sleep_long());
      } catch (const TaskTimeout&) {
        co_return "inner";
      }
      co_return "none";
    };
    try {
      co_return co_await with_timeout(first, inner(second));
    } catch (const TaskTimeout&) {
      co_return "outer";
    }
  };
  CHECK(run_task(loop, outer(1h, 2ms)) == "inner");
  CHECK(run_task(loop, outer(2ms, 1h)) == "outer");
}

TEST_CASE("a timeout harms neither its siblings nor what comes after it") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    auto [timed_out, text, other, none] = run_task(
        loop, when_all(or_minus_one(5ms, after(1h, 1)), read_some(pipe.out.get(), 10),
                       or_minus_one(1h, after(30ms, 2)), write_later(pipe.in.get(), "safe", 20ms)));
    CHECK(timed_out == -1);
    CHECK(text == "safe");
    CHECK(other == 2);
    auto several = [](int in, int out) -> Task<int> {
      int sum = 0;
      for (int i = 0; i < 20; ++i) {
        sum += co_await or_minus_one(1ms, after(1h, 1));
        co_await write_some(in, "y");
        auto first = co_await when_any(read_some(out, 1), after(1h, 1));
        sum += static_cast<int>(first.index());
      }
      co_return sum;
    };
    CHECK(run_task(loop, several(pipe.in.get(), pipe.out.get())) == -20);
  });
}

TEST_CASE("cancelling a task reaches all scopes under it, as Cancelled") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    auto deep = [](auto self, int fd, int depth) -> Task<> {
      if (depth == 0) {
        co_await read_some(fd, 1);
      } else if (depth % 2 == 0) {
        co_await with_timeout(1h, self(self, fd, depth - 1));
      } else {
        (void)co_await when_any(self(self, fd, depth - 1), sleep_long());
      }
    };
    Run run(loop, when_all(deep(deep, pipe.out.get(), 7), deep(deep, pipe.out.get(), 200),
                           with_timeout(1h, sleep_long())));
    turn_until_waiting(loop, run);
    loop.cancel(run.root());
    CHECK(throws_cancelled(run));
    CHECK_FALSE(loop.in_flight());
    // Nor does a scope begin under a task that was cancelled.
    Run late(loop, with_timeout(1h, sleep_long()));
    loop.cancel(late.root());
    CHECK(throws_cancelled(late));
  });
}

TEST_CASE("when both limits are over, and when the task is cancelled as its time is over") {
  Loop loop(IoBackend::automatic);
  auto outer = [](Duration limit) -> Task<int> {
    co_return co_await or_minus_one(limit, with_timeout(limit, after(1h, 1)));
  };
  for (int i = 0; i < 20; ++i) CHECK(run_task(loop, outer(1ms)) == -1);
  Run run(loop, with_timeout(1ms, sleep_long()));
  turn_until_waiting(loop, run);
  ::usleep(2000);
  loop.cancel(run.root());
  CHECK(throws_cancelled(run));
}

TEST_CASE("a result that races with its timeout is kept or left in the pipe, never lost") {
  on_each_backend([](Loop& loop) {
    int kept = 0;
    for (int round = 0; round < 200; ++round) {
      Pipe pipe;
      Run run(loop, with_timeout(1ms, read_some(pipe.out.get(), 10)));
      turn_until_waiting(loop, run);
      ::usleep(round % 2 == 0 ? 1200 : 300);
      CHECK(::write(pipe.in.get(), "x", 1) == 1);
      if (round % 3 == 0) loop.poll();
      while (!run.done()) run.step();
      std::string got;
      try {
        got = run.take();
        ++kept;
      } catch (const TaskTimeout&) {
        got = run_task(loop, read_some(pipe.out.get(), 10));
      }
      CHECK(got == "x");
    }
    CHECK(kept > 0);
  });
}

TEST_CASE("1,000 reads with limits, half of which are over") {
  on_each_backend([](Loop& loop) {
    constexpr std::size_t n = 1000;
    Pipe silent;
    Pipe open;
    std::vector<Task<int>> tasks;
    auto read_one = [](int fd) -> Task<int> {
      co_return static_cast<int>((co_await read_some(fd, 1)).size());
    };
    for (std::size_t i = 0; i < n; ++i)
      tasks.push_back(i % 2 == 0 ? or_minus_one(20ms, read_one(silent.out.get()))
                                 : or_minus_one(1h, read_one(open.out.get())));
    auto feed = write_later(open.in.get(), std::string(n, 'z'), 30ms);
    const auto results =
        std::get<0>(run_task(loop, when_all(when_all(std::move(tasks)), std::move(feed))));
    for (std::size_t i = 0; i < n; ++i) CHECK(results[i] == (i % 2 == 0 ? -1 : 1));
    CHECK_FALSE(loop.in_flight());
  });
}

TEST_CASE("files that cannot be interrupted end before the timeout says so") {
  on_each_backend([](Loop& loop) {
    TemporaryFile file;
    for (int round = 0; round < 10; ++round) {
      std::vector<Task<std::size_t>> writes;
      for (std::uint64_t i = 0; i < 16; ++i)
        writes.push_back(write_some(file.fd.get(), std::string(100'000, 'z'), i * 100'000));
      try {
        (void)run_task(loop, with_timeout(0ms, when_all(std::move(writes))));
      } catch (const TaskTimeout&) {
      }
      CHECK_FALSE(loop.in_flight());
    }
  });
}

TEST_CASE("coroutines destroyed in the middle of scopes leave nothing behind") {
  on_each_backend([](Loop& loop) {
    for (int round = 0; round < 40; ++round) {
      Pipe pipe;
      {
        Run timed(loop, with_timeout(round % 2 == 0 ? 1h : 0h, read_some(pipe.out.get(), 10)));
        Run raced(loop, when_any(read_some(pipe.out.get(), 10),
                                 with_timeout(1h, poll_for(pipe.out.get(), POLLIN))));
        for (int turn = 0; turn < 1 + round % 4; ++turn) {
          loop.run_ready(64);
          loop.poll();
        }
      }
      CHECK_FALSE(loop.in_flight());
      CHECK_FALSE(loop.has_ready());
      CHECK(::write(pipe.in.get(), "x", 1) == 1);
      loop.poll();
      CHECK(run_task(loop, read_some(pipe.out.get(), 10)) == "x");
    }
  });
}

TEST_CASE("a loop that goes first leaves scopes that can be destroyed") {
  for (const IoBackend kind : {IoBackend::poll, IoBackend::uring}) {
    if (kind == IoBackend::uring && !uring_is_here()) continue;
    Pipe pipe;
    loop::Root root;
    std::coroutine_handle<> frame;
    auto drive = [](auto task) -> detail::Detached { co_await std::move(task); };
    {
      Loop loop(kind);
      frame =
          drive(with_timeout(1h, when_any(read_some(pipe.out.get(), 10), sleep_long()))).release();
      loop.start(root, frame);
      loop.run_ready(4);
      loop.poll();
    }
    frame.destroy();
    CHECK(root.children.empty());
  }
}

TEST_CASE("scopes outside any loop are a logic_error") {
  auto first_await = []() -> detail::Detached {
    try {
      co_await with_timeout(1s, sleep_long());
    } catch (const std::logic_error& error) {
      CHECK(std::string(error.what()).find("inside an event loop") != std::string::npos);
      co_return;
    }
    FAIL_CHECK("nothing was thrown");
  };
  first_await().release().resume();
}
