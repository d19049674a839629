#include <doctest/doctest.h>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/os/eventfd.hpp"
#include "tests/support/skipped.hpp"
#include "tests/unit/child.hpp"
#include "tests/unit/loop_helpers.hpp"

using namespace pinion;
using namespace pinion::tests;
using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;
using os::Fd;

TEST_CASE("10,000 timers of 100 ms end in time and none ends early") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    (void)run_task(loop, poll_for(pipe.in.get(), POLLOUT));  // the backend is made
    const std::int64_t start = os::now_ns();
    std::vector<Task<>> sleepers;
    auto sleeper = []() -> Task<> { co_await sleep_for(100ms); };
    for (int i = 0; i < 10'000; ++i) sleepers.push_back(sleeper());
    run_task(loop, when_all(std::move(sleepers)));
    const std::int64_t took = os::now_ns() - start;
    CHECK(took >= 100 * ms);
    CHECK(took < 300 * ms);
  });
}

TEST_CASE("timers end in the order of their deadlines, and yields take turns") {
  Loop loop(IoBackend::automatic);
  std::vector<int> order;
  auto note = [](std::vector<int>& list, Duration delay, int value) -> Task<> {
    co_await sleep_for(delay);
    list.push_back(value);
  };
  run_task(loop, when_all(note(order, 30ms, 3), note(order, 10ms, 1), note(order, 20ms, 2)));
  CHECK(order == std::vector<int>{1, 2, 3});
  order.clear();
  auto turns = [](std::vector<int>& list, int value) -> Task<> {
    for (int i = 0; i < 3; ++i) {
      list.push_back(value);
      co_await yield();
    }
  };
  run_task(loop, when_all(turns(order, 1), turns(order, 2)));
  CHECK(order == std::vector<int>{1, 2, 1, 2, 1, 2});
  CHECK(loop.backend() == IoBackend::automatic);  // time needs no kernel object
  CHECK(loop.backend_reason().empty());
}

TEST_CASE("wait sleeps until its deadline, and a wake ends it") {
  on_each_backend([](Loop& loop) {
    const Fd bell = os::make_eventfd();
    for (const bool with_backend : {false, true}) {
      Pipe pipe;
      if (with_backend) (void)run_task(loop, poll_for(pipe.in.get(), POLLOUT));
      loop.set_wake_fd(bell.get());
      std::int64_t start = os::now_ns();
      loop.wait(start + 30 * ms);
      CHECK(os::now_ns() - start >= 29 * ms);

      start = os::now_ns();
      std::thread ringer([&] {
        std::this_thread::sleep_for(30ms);
        os::ring_eventfd(bell.get());
      });
      loop.wait(start + 5000 * ms);
      CHECK(os::now_ns() - start < 2000 * ms);
      ringer.join();
      // It was drained: the next wait sleeps again.
      start = os::now_ns();
      loop.wait(start + 20 * ms);
      CHECK(os::now_ns() - start >= 19 * ms);
    }
    // A ring that poll() saw still ends the next wait.
    Pipe pipe;
    Run reading(loop, read_some(pipe.out.get(), 1));
    turn_until_waiting(loop, reading);
    os::ring_eventfd(bell.get());
    for (int i = 0; i < 3; ++i) loop.poll();
    const std::int64_t start = os::now_ns();
    loop.wait(start + 5000 * ms);
    CHECK(os::now_ns() - start < 2000 * ms);
    loop.set_wake_fd(-1);
  });
}

TEST_CASE("poll makes no system call while nothing is in flight") {
  CHECK(in_child([] {
          Loop loop(IoBackend::automatic);
          Pipe pipe;
          (void)run_task(loop, poll_for(pipe.in.get(), POLLOUT));
          deny(SYS_io_uring_enter, EIO);
          deny(SYS_epoll_wait, EIO);
          for (int i = 0; i < 10; ++i) loop.poll();
          return 0;
        }) == 0);
}

TEST_CASE("awaiting outside any loop is a logic_error that says so") {
  auto first_await = []() -> detail::Detached {
    try {
      co_await sleep_for(1ms);
    } catch (const std::logic_error& error) {
      CHECK(std::string(error.what()).find("inside an event loop") != std::string::npos);
      co_return;
    }
    FAIL_CHECK("nothing was thrown");
  };
  first_await().release().resume();
}

TEST_CASE("PINION_IO overrides the automatic choice and no other") {
  Pipe pipe;
  ::setenv("PINION_IO", "poll", 1);
  {
    Loop loop(IoBackend::automatic);
    CHECK(loop.backend_reason().empty());
    (void)run_task(loop, poll_for(pipe.in.get(), POLLOUT));
    CHECK(loop.backend() == IoBackend::poll);
    CHECK(loop.backend_reason() == "asked for by PINION_IO");
  }
  ::setenv("PINION_IO", "fast", 1);
  CHECK_THROWS_AS(std::make_unique<Loop>(IoBackend::automatic), std::invalid_argument);
  {
    Loop loop(IoBackend::poll);
    (void)run_task(loop, poll_for(pipe.in.get(), POLLOUT));
    CHECK(loop.backend_reason() == "asked for by name");
  }
  ::unsetenv("PINION_IO");
}

TEST_CASE("where io_uring is refused the automatic choice is poll, with the reason") {
  struct Refusal {
    long call;
    int error;
    const char* reason;
  };
  const Refusal refusals[] = {
      {SYS_io_uring_setup, EPERM, "io_uring_setup: Operation not permitted"},
      {SYS_io_uring_setup, ENOSYS, "io_uring_setup: Function not implemented"},
      {SYS_io_uring_setup, EMFILE, "io_uring_setup: Too many open files"},
      {SYS_io_uring_setup, ENOMEM, "io_uring_setup: Cannot allocate memory"},
      {SYS_io_uring_enter, EACCES, "io_uring_enter: Permission denied"},
      {SYS_io_uring_enter, EAGAIN, "io_uring_enter: Resource temporarily unavailable"},
  };
  for (const Refusal& refusal : refusals) {
    CAPTURE(refusal.reason);
    const int status = in_child([&refusal] {
      ::unsetenv("PINION_IO");
      deny(refusal.call, refusal.error);
      Pipe pipe;
      Loop loop(IoBackend::automatic);
      if (run_task(loop, poll_for(pipe.in.get(), POLLOUT)) != POLLOUT) return 1;
      if (loop.backend() != IoBackend::poll) return 2;
      if (!loop.backend_reason().starts_with(refusal.reason)) return 3;
      Loop strict(IoBackend::uring);
      return error_of(strict, poll_for(pipe.in.get(), POLLOUT)) == refusal.error ? 0 : 4;
    });
    if (status == not_allowed)
      checks::skip("seccomp filters are not allowed here");
    else
      CHECK(status == 0);
  }
}

TEST_CASE("newer calls that are refused are replaced by their older forms") {
  const int status = in_child([] {
    deny(SYS_epoll_pwait2, ENOSYS);
    deny(SYS_preadv2, ENOSYS);
    deny(SYS_pwritev2, ENOSYS);
    Loop loop(IoBackend::poll);
    Pipe pipe;
    auto both = when_all(read_some(pipe.out.get(), 10), write_later(pipe.in.get(), "old", 20ms));
    if (std::get<0>(run_task(loop, std::move(both))) != "old") return 1;
    const std::string big(1 << 20, 'b');
    auto write_big = [](int fd, std::string text) -> Task<std::size_t> {
      co_return co_await io::write(fd, bytes_of(std::as_const(text)));
    };
    // Short, and not blocked for ever.
    if (run_task(loop, write_big(pipe.in.get(), big)) != 4096) return 2;
    TemporaryFile file;
    (void)run_task(loop, write_some(file.fd.get(), "0123", 0));
    return run_task(loop, read_some(file.fd.get(), 2, 1)) == "12" ? 0 : 3;
  });
  if (status == not_allowed)
    checks::skip("seccomp filters are not allowed here");
  else
    CHECK(status == 0);
}

TEST_CASE("a child forked inside a task cannot use its parent's loop") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    auto forking = [](int out, int in) -> Task<int> {
      (void)co_await poll_for(in, POLLOUT);
      const pid_t pid = ::fork();
      if (pid == 0) {
        try {
          co_await read_some(out, 1);
        } catch (const std::logic_error&) {
          ::_exit(0);
        }
        ::_exit(1);
      }
      int status = -1;
      ::waitpid(pid, &status, 0);
      co_await write_some(in, "x");
      co_return (co_await read_some(out, 1)) == "x" ? status : -1;
    };
    CHECK(run_task(loop, forking(pipe.out.get(), pipe.in.get())) == 0);
  });
}

TEST_CASE("no descriptor is left when loops come and go") {
  auto lowest_free = [] {
    const Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const Fd high(::fcntl(fd.get(), F_DUPFD_CLOEXEC, os::descriptor_floor()));
    return std::pair(fd.get(), high.get());
  };
  const auto before = lowest_free();
  for (int i = 0; i < 20; ++i)
    on_each_backend([](Loop& loop) {
      Pipe pipe;
      TemporaryFile file;
      CHECK(run_task(loop, write_some(pipe.in.get(), "x")) == 1);
      CHECK(run_task(loop, write_some(file.fd.get(), "x")) == 1);
    });
  CHECK(lowest_free() == before);
}
