#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pinion/errors.hpp>
#include <pinion/io.hpp>
#include <pinion/sleep.hpp>
#include <pinion/task.hpp>
#include <pinion/when_all.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "lib/loop/run_task.hpp"
#include "lib/os/eventfd.hpp"
#include "lib/os/fd.hpp"

using namespace pinion;
using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;
using os::Fd;

namespace {

constexpr std::int64_t ms = 1'000'000;

struct Pipe {
  explicit Pipe(int flags = 0) {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC | flags) == 0);
    out = Fd(fds[0]);
    in = Fd(fds[1]);
  }
  Fd out, in;
};

struct TemporaryFile {
  TemporaryFile() : fd(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {
    REQUIRE(fd.get() >= 0);
  }
  Fd fd;
};

std::span<std::byte> bytes_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }
std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

Task<std::string> read_some(int fd, std::size_t n,
                            std::optional<std::uint64_t> offset = std::nullopt) {
  std::string text(n, '.');
  text.resize(co_await io::read(fd, bytes_of(text), offset));
  co_return text;
}
Task<std::size_t> write_some(int fd, std::string text,
                             std::optional<std::uint64_t> offset = std::nullopt) {
  co_return co_await io::write(fd, bytes_of(std::as_const(text)), offset);
}
Task<> write_later(int fd, std::string text, Duration delay) {
  co_await sleep_for(delay);
  co_await write_some(fd, std::move(text));
}
Task<short> poll_for(int fd, short events) { co_return co_await io::poll(fd, events); }
Task<> sleep_long() { co_await sleep_for(1h); }

/// Whether `task` throws a system_error with this errno.
template <class T>
int error_of(Loop& loop, Task<T> task) {
  try {
    run_task(loop, std::move(task));
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

/// Turns the loop until the task waits for something.
template <class T>
void turn_until_waiting(Loop& loop, Run<T>& run) {
  while (loop.run_ready(64)) loop.poll();
  REQUIRE_FALSE(run.done());
}

bool uring_is_here() {
  static const bool here = [] {
    Loop loop(IoBackend::uring);
    Pipe pipe;
    try {
      (void)run_task(loop, poll_for(pipe.in.get(), POLLOUT));
      return true;
    } catch (const std::system_error& error) {
      std::printf("io_uring is not here, its cases are skipped: %s\n", error.what());
      return false;
    }
  }();
  return here;
}

/// Runs a check on each backend that this machine has.
template <class Check>
void on_each_backend(Check check) {
  for (const IoBackend kind : {IoBackend::poll, IoBackend::uring}) {
    if (kind == IoBackend::uring && !uring_is_here()) continue;
    CAPTURE(kind == IoBackend::uring ? "uring" : "poll");
    Loop loop(kind);
    check(loop);
    CHECK_FALSE(loop.has_ready());
  }
}

/// In this process from now on, `number` fails with `error`.
void deny(long number, int error) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(code), code};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    ::_exit(77);
}

/// The exit status of a forked child that runs `body`; 0 is success.
template <class Body>
int in_child(Body body) {
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::alarm(30);
    ::_exit(body());
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct IgnoreSigpipe {
  IgnoreSigpipe() { std::signal(SIGPIPE, SIG_IGN); }
} ignore_sigpipe;

}  // namespace

TEST_CASE("a pipe carries bytes, and its end is 0 bytes") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    CHECK(run_task(loop, write_some(pipe.in.get(), "hello")) == 5);
    CHECK(run_task(loop, read_some(pipe.out.get(), 3)) == "hel");
    CHECK(run_task(loop, read_some(pipe.out.get(), 100)) == "lo");
    auto both = when_all(read_some(pipe.out.get(), 100), write_later(pipe.in.get(), "late", 20ms));
    CHECK(std::get<0>(run_task(loop, std::move(both))) == "late");
    pipe.in.reset();
    CHECK(run_task(loop, read_some(pipe.out.get(), 100)).empty());
    CHECK_FALSE(loop.in_flight());
  });
}

TEST_CASE("a pipe in non-blocking mode is waited for as well") {
  on_each_backend([](Loop& loop) {
    Pipe pipe(O_NONBLOCK);
    auto both = when_all(read_some(pipe.out.get(), 100), write_later(pipe.in.get(), "x", 20ms));
    CHECK(std::get<0>(run_task(loop, std::move(both))) == "x");
    const std::string filling(1 << 20, 'f');
    CHECK(::write(pipe.in.get(), filling.data(), filling.size()) > 0);
    auto drain = [](int fd) -> Task<> {
      co_await sleep_for(20ms);
      co_await read_some(fd, 1 << 20);
    };
    CHECK(std::get<0>(run_task(
              loop, when_all(write_some(pipe.in.get(), "more"), drain(pipe.out.get())))) == 4);
  });
}

TEST_CASE("a writer to a full pipe in blocking mode does not stop the others") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    auto write_all = [](int fd, std::size_t total) -> Task<> {
      const std::string text(total, 'w');
      std::size_t done = 0;
      while (done < total) done += co_await io::write(fd, bytes_of(text).subspan(done));
    };
    auto read_all = [](int fd, std::size_t total) -> Task<std::size_t> {
      std::size_t done = 0;
      while (done < total) done += (co_await read_some(fd, 50'000)).size();
      co_return done;
    };
    constexpr std::size_t total = 1 << 20;
    auto both = when_all(write_all(pipe.in.get(), total), read_all(pipe.out.get(), total));
    CHECK(std::get<1>(run_task(loop, std::move(both))) == total);
  });
}

TEST_CASE("files are read and written at offsets and at their position") {
  on_each_backend([](Loop& loop) {
    TemporaryFile file;
    const int fd = file.fd.get();
    CHECK(run_task(loop, write_some(fd, "0123456789")) == 10);
    CHECK(run_task(loop, write_some(fd, "ab", 4)) == 2);
    CHECK(run_task(loop, read_some(fd, 4, 3)) == "3ab6");
    CHECK(run_task(loop, read_some(fd, 100, 8)) == "89");
    CHECK(run_task(loop, read_some(fd, 100, 10)).empty());
    CHECK(run_task(loop, read_some(fd, 100)).empty());
    CHECK(::lseek(fd, 2, SEEK_SET) == 2);
    CHECK(run_task(loop, read_some(fd, 3)) == "23a");
    CHECK(run_task(loop, read_some(fd, 2)) == "b6");
    CHECK(run_task(loop, poll_for(fd, POLLIN)) == POLLIN);
  });
}

TEST_CASE("many reads of a file at once all come back right") {
  on_each_backend([](Loop& loop) {
    TemporaryFile file;
    const int fd = file.fd.get();
    std::string content(1 << 20, ' ');
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>('a' + i % 23);
    REQUIRE(::pwrite(fd, content.data(), content.size(), 0) == 1 << 20);
    std::vector<Task<std::string>> reads;
    for (std::size_t i = 0; i < 600; ++i) reads.push_back(read_some(fd, 1000, i * 1700));
    const std::vector<std::string> results = run_task(loop, when_all(std::move(reads)));
    for (std::size_t i = 0; i < results.size(); ++i)
      CHECK(results[i] == content.substr(i * 1700, 1000));
  });
}

TEST_CASE("an offset is ignored where there is no position") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    CHECK(run_task(loop, write_some(pipe.in.get(), "abc", 7)) == 3);
    CHECK(run_task(loop, read_some(pipe.out.get(), 9, 5)) == "abc");
  });
}

TEST_CASE("the kernel's errors come as system_error with their number") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    CHECK(error_of(loop, read_some(-1, 1)) == EBADF);
    CHECK(error_of(loop, read_some(pipe.in.get(), 1)) == EBADF);
    CHECK(error_of(loop, poll_for(987'654, POLLIN)) == EBADF);
    CHECK(error_of(loop, read_some(::open("/", O_RDONLY | O_CLOEXEC), 1)) == EISDIR);
    pipe.out.reset();
    CHECK(error_of(loop, write_some(pipe.in.get(), "x")) == EPIPE);
    CHECK_THROWS_WITH_AS(run_task(loop, read_some(987'654, 1)),
                         "reading descriptor 987654: Bad file descriptor", std::system_error);
  });
}

TEST_CASE("poll tells which events hold") {
  on_each_backend([](Loop& loop) {
    Pipe pipe;
    CHECK(run_task(loop, poll_for(pipe.in.get(), POLLOUT | POLLIN)) == POLLOUT);
    auto both = when_all(poll_for(pipe.out.get(), POLLIN), write_later(pipe.in.get(), "x", 10ms));
    CHECK(std::get<0>(run_task(loop, std::move(both))) == POLLIN);
    pipe.in.reset();
    CHECK((run_task(loop, poll_for(pipe.out.get(), POLLIN)) & POLLHUP) != 0);
  });
}

TEST_CASE("several operations may wait for one descriptor") {
  on_each_backend([](Loop& loop) {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    const Fd one(pair[0]);
    const Fd two(pair[1]);
    std::vector<Task<std::string>> reads;
    for (int i = 0; i < 3; ++i) reads.push_back(read_some(one.get(), 10));
    auto send = [](int fd) -> Task<> {
      co_await sleep_for(10ms);
      for (const char* text : {"a", "b", "c"}) co_await write_some(fd, text);
    };
    auto both = when_all(when_all(std::move(reads)), write_some(one.get(), "back"), send(two.get()),
                         read_some(two.get(), 10));
    auto [texts, sent, none, back] = run_task(loop, std::move(both));
    std::sort(texts.begin(), texts.end());
    CHECK(texts == std::vector<std::string>{"a", "b", "c"});
    CHECK(back == "back");
  });
}

TEST_CASE("more operations than the queues hold are all done") {
  on_each_backend([](Loop& loop) {
    constexpr std::size_t n = 3000;
    Pipe pipe;
    std::vector<Task<short>> polls;
    for (std::size_t i = 0; i < n; ++i) polls.push_back(poll_for(pipe.out.get(), POLLIN));
    auto both = when_all(when_all(std::move(polls)), write_later(pipe.in.get(), "x", 30ms));
    const auto results = std::get<0>(run_task(loop, std::move(both)));
    CHECK(static_cast<std::size_t>(std::count(results.begin(), results.end(), POLLIN)) == n);
  });
}

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

TEST_CASE("a coroutine destroyed in the middle of an operation takes its buffer back") {
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
    if (status == 77)
      MESSAGE("skipped: seccomp filters are not allowed here");
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
  if (status == 77)
    MESSAGE("skipped: seccomp filters are not allowed here");
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
