#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/process_helpers.hpp"

using namespace pinion;
using namespace pinion::tests;
using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;
using os::Fd;

TEST_CASE("the exit code comes back") {
  on_each_backend([](Loop& loop) {
    const io::ProcessExit good = run_task(loop, run_program(shell("exit 0")));
    CHECK(good.success());
    const io::ProcessExit bad = run_task(loop, run_program(shell("exit 42")));
    CHECK(bad.how == io::ProcessExit::How::exited);
    CHECK(bad.code == 42);
    CHECK_FALSE(bad.success());
    CHECK_FALSE(has_children());
  });
}

TEST_CASE("a signal that killed the child is told") {
  on_each_backend([](Loop& loop) {
    const io::ProcessExit exit = run_task(loop, run_program(shell("kill -9 $$")));
    CHECK(exit.how == io::ProcessExit::How::signaled);
    CHECK(exit.signal == SIGKILL);
    CHECK_FALSE(exit.core_dumped);
    CHECK_FALSE(exit.success());
  });
}

TEST_CASE("waiting again gives the same answer") {
  on_each_backend([](Loop& loop) {
    auto twice = []() -> Task<bool> {
      io::Process process = co_await io::spawn_process(shell("exit 3"));
      const io::ProcessExit first = co_await io::wait_process(process);
      const io::ProcessExit second = co_await io::wait_process(process);
      co_return first.code == 3 && second.code == 3 && process.pidfd() == -1;
    };
    CHECK(run_task(loop, twice()));
  });
}

TEST_CASE("a process group of its own is signalled as a whole") {
  on_each_backend([](Loop& loop) {
    auto check = []() -> Task<int> {
      int out[2];
      if (::pipe2(out, O_CLOEXEC) != 0) co_return 1;
      const Fd end(out[0]);
      Fd start(out[1]);
      io::SpawnRequest request = shell("sleep 1000 & sleep 1000 & echo ready; wait");
      request.process_group = true;
      request.stdout_fd = start.get();
      io::Process process = co_await io::spawn_process(std::move(request));
      start.reset();
      std::string ready(6, '\0');
      (void)co_await io::read(end.get(), std::as_writable_bytes(std::span(ready)));
      if (::getpgid(process.pid()) != process.pid()) co_return 2;
      process.kill_group(SIGTERM);
      const io::ProcessExit exit = co_await io::wait_process(process);
      if (exit.signal != SIGTERM) co_return 3;
      // The end of the pipe: the grandchildren, which had it too, are gone.
      if (!(co_await read_all(end.get())).empty()) co_return 4;
      process.kill(SIGKILL);  // it was reaped: nothing happens
      process.kill_group(SIGKILL);
      co_return 0;
    };
    CHECK(run_task(loop, check()) == 0);
    auto no_group = []() -> Task<> {
      io::Process process = co_await io::spawn_process(shell("exit 0"));
      co_await io::wait_process(process);
      process.kill_group(SIGTERM);
    };
    CHECK_THROWS_AS(run_task(loop, no_group()), std::logic_error);
  });
}

TEST_CASE("usage is told for each child") {
  Loop loop(IoBackend::automatic);
  const io::ProcessExit busy =
      run_task(loop, run_program(shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")));
  const auto microseconds = [](const timeval& t) { return t.tv_sec * 1'000'000L + t.tv_usec; };
  CHECK(microseconds(busy.usage.ru_utime) > 5'000);
  CHECK(microseconds(busy.usage.ru_utime) < 20'000'000);
  CHECK(busy.usage.ru_maxrss > 500);  // KiB
  CHECK(busy.usage.ru_maxrss < 200'000);
}

TEST_CASE("a cancelled wait leaves the process running") {
  on_each_backend([](Loop& loop) {
    auto wait_for_it = [](io::Process& process) -> Task<> { co_await io::wait_process(process); };
    io::Process process = run_task(loop, []() -> Task<io::Process> {
      co_return co_await io::spawn_process(shell("exec sleep 1000"));
    }());
    Run run(loop, wait_for_it(process));
    while (loop.run_ready(8)) loop.poll();
    loop.cancel(run.root());
    while (!run.done()) run.step();
    CHECK_THROWS_AS(run.take(), Cancelled);
    CHECK(::kill(process.pid(), 0) == 0);
    process.kill(SIGKILL);
    run_task(loop, wait_for_it(process));
    CHECK(process.exit()->signal == SIGKILL);
  });
}

TEST_CASE("a child whose exit status was taken by somebody else is unknown, not a success") {
  Loop loop(IoBackend::automatic);
  auto stolen = []() -> Task<io::ProcessExit> {
    io::Process process = co_await io::spawn_process(shell("exit 0"));
    ::waitpid(process.pid(), nullptr, 0);
    co_return co_await io::wait_process(process);
  };
  const io::ProcessExit exit = run_task(loop, stolen());
  CHECK(exit.how == io::ProcessExit::How::unknown);
  CHECK_FALSE(exit.success());
}

TEST_CASE("a dropped process goes on, and is reaped at a later occasion") {
  Loop loop(IoBackend::automatic);
  const std::size_t before = open_descriptors();
  const pid_t pid = run_task(loop, []() -> Task<pid_t> {
    io::Process process = co_await io::spawn_process(shell("exec sleep 0.05"));
    co_return process.pid();
  }());
  CHECK(::kill(pid, 0) == 0);
  for (int i = 0; i < 200 && ::kill(pid, 0) == 0; ++i) {
    std::this_thread::sleep_for(10ms);
    CHECK(run_task(loop, run_program(shell("exit 0"))).success());
  }
  CHECK(::kill(pid, 0) != 0);
  CHECK_FALSE(has_children());
  CHECK(open_descriptors() <= before + 2);  // the backend's own
}

TEST_CASE("300 children, one after the other, leave nothing behind") {
  on_each_backend([](Loop& loop) {
    io::SpawnRequest request;
    request.argv = {"/bin/true"};
    CHECK(run_task(loop, run_program(request)).success());
    const std::size_t before = open_descriptors();
    auto many = [request]() -> Task<int> {
      int good = 0;
      for (int i = 0; i < 300; ++i) good += (co_await run_program(request)).success() ? 1 : 0;
      co_return good;
    };
    CHECK(run_task(loop, many()) == 300);
    CHECK(open_descriptors() == before);
    CHECK_FALSE(has_children());
  });
}

TEST_CASE("children run at once") {
  on_each_backend([](Loop& loop) {
    const std::int64_t start = os::now_ns();
    std::vector<Task<io::ProcessExit>> children;
    for (int i = 0; i < 20; ++i) children.push_back(run_program(shell("exec sleep 0.3")));
    for (const io::ProcessExit& exit : run_task(loop, when_all(std::move(children))))
      CHECK(exit.success());
    CHECK(os::now_ns() - start < 3'000'000'000);
  });
}
