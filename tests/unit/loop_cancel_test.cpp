#include <doctest/doctest.h>

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/loop_helpers.hpp"

using namespace pinion;
using namespace pinion::tests;
using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;
using os::Fd;

TEST_CASE("cancelling ends a pending read, poll, sleep and yield with Cancelled") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    auto turning = []() -> Task<> {
      for (;;) co_await yield();
    };
    auto check = [&loop](auto task) {
      Run run(loop, std::move(task));
      for (int i = 0; i < 3; ++i) {
        loop.run_ready(1);
        loop.poll();
      }
      CHECK_FALSE(run.done());
      const std::int64_t start = os::now_ns();
      loop.cancel(run.root());
      while (!run.done()) run.step(os::now_ns() + 1000 * ms);
      CHECK(os::now_ns() - start < 500 * ms);
      CHECK_THROWS_AS(run.take(), Cancelled);
      CHECK_FALSE(loop.in_flight());
    };
    check(read_some(pipe.out.get(), 10));
    check(poll_for(pipe.out.get(), POLLIN));
    check(sleep_long());
    check(turning());
    check(when_all(read_some(pipe.out.get(), 10), sleep_long(), poll_for(pipe.out.get(), POLLIN)));
    Pipe slow(O_NONBLOCK);
    check(read_some(slow.out.get(), 10));
    // Nothing was consumed by what was cancelled.
    CHECK(run_task(loop, write_some(pipe.in.get(), "kept")) == 4);
    CHECK(run_task(loop, read_some(pipe.out.get(), 10)) == "kept");
  });
}

TEST_CASE("after a cancellation every later await throws too") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    int caught = 0;
    auto stubborn = [](int fd, int& count) -> Task<> {
      for (int i = 0; i < 4; ++i) {
        try {
          if (i % 2 == 0)
            co_await sleep_for(1h);
          else
            co_await read_some(fd, 1);
        } catch (const Cancelled&) {
          ++count;
        }
      }
    };
    Run run(loop, stubborn(pipe.out.get(), caught));
    turn_until_waiting(loop, run);
    loop.cancel(run.root());
    while (!run.done()) run.step();
    CHECK(caught == 4);
  });
}

TEST_CASE("a task that is cancelled before it begins throws at its first await") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    Run run(loop, read_some(pipe.out.get(), 1));
    loop.cancel(run.root());
    while (!run.done()) run.step();
    CHECK_THROWS_AS(run.take(), Cancelled);
    Run plain(loop, []() -> Task<int> { co_return 5; }());
    loop.cancel(plain.root());
    while (!plain.done()) plain.step();
    CHECK(plain.take() == 5);  // it awaited nothing
  });
}

TEST_CASE("cancelling one task leaves the others alone") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    Run first(loop, read_some(pipe.out.get(), 10));
    Run second(loop, read_some(pipe.out.get(), 10));
    while (loop.run_ready(64)) loop.poll();
    loop.cancel(first.root());
    while (!first.done()) first.step();
    CHECK_THROWS_AS(first.take(), Cancelled);
    CHECK_FALSE(second.done());
    CHECK(::write(pipe.in.get(), "x", 1) == 1);
    while (!second.done()) second.step();
    CHECK(second.take() == "x");
  });
}

TEST_CASE("a result that races with its cancellation is kept or left in the pipe, never lost") {
  on_each_backend([](Loop& loop) {
    for (int round = 0; round < 300; ++round) {
      Pipe pipe;
      Run run(loop, read_some(pipe.out.get(), 10));
      turn_until_waiting(loop, run);
      CHECK(::write(pipe.in.get(), "x", 1) == 1);
      if (round % 3 == 0) loop.poll();
      loop.cancel(run.root());
      while (!run.done()) run.step();
      std::string got;
      try {
        got = run.take();
      } catch (const Cancelled&) {
        got = run_task(loop, read_some(pipe.out.get(), 10));
      }
      CHECK(got == "x");
    }
  });
}

TEST_CASE("a coroutine destroyed in the middle of an operation takes its buffer back (edge case 74)") {
  on_each_backend([](Loop& loop) {
    for (int round = 0; round < 50; ++round) {
      Pipe pipe(round % 2 == 0 ? 0 : O_NONBLOCK);
      {
        Run reading(loop, read_some(pipe.out.get(), 1 << 16));
        Run polling(loop, poll_for(pipe.out.get(), POLLIN));
        Run sleeping(loop, sleep_long());
        Run unborn(loop, sleep_long());
        loop.run_ready(3);
        for (int turn = 0; turn < round % 4; ++turn) loop.poll();
        CHECK(loop.in_flight());
      }
      CHECK_FALSE(loop.in_flight());
      CHECK_FALSE(loop.has_ready());
      // No read is left behind that would take this byte.
      CHECK(::write(pipe.in.get(), "x", 1) == 1);
      loop.poll();
      CHECK(run_task(loop, read_some(pipe.out.get(), 10)) == "x");
    }
  });
}

TEST_CASE("a coroutine destroyed in the middle of file operations waits for them") {
  on_each_backend([](Loop& loop) {
    TemporaryFile file;
    for (int round = 0; round < 30; ++round) {
      std::vector<std::unique_ptr<Run<std::size_t>>> writes;
      for (std::uint64_t i = 0; i < 12; ++i)
        writes.push_back(std::make_unique<Run<std::size_t>>(
            loop, write_some(file.fd.get(), std::string(100'000, 'z'), i * 100'000)));
      loop.run_ready(12);
      for (int turn = 0; turn < round % 3; ++turn) loop.poll();
    }
    CHECK_FALSE(loop.in_flight());
  });
}

TEST_CASE("a loop that goes first leaves coroutines that can be destroyed") {
  for (const IoBackend kind : {IoBackend::poll, IoBackend::uring}) {
    if (kind == IoBackend::uring && !uring_is_here()) continue;
    Pipe pipe;
    TemporaryFile file;
    std::vector<std::coroutine_handle<>> frames;
    std::vector<std::unique_ptr<loop::Root>> roots;
    auto drive = [](auto task) -> detail::Detached { co_await std::move(task); };
    {
      Loop loop(kind);
      auto start = [&](auto task) {
        frames.push_back(drive(std::move(task)).release());
        roots.push_back(std::make_unique<loop::Root>());
        loop.start(*roots.back(), frames.back());
      };
      start(read_some(pipe.out.get(), 100));
      start(poll_for(pipe.out.get(), POLLIN));
      start(sleep_long());
      start(write_some(file.fd.get(), std::string(1 << 20, 'x')));
      loop.run_ready(4);
      start(sleep_long());
    }
    for (const auto frame : frames) frame.destroy();
  }
}
