// The event loop while its system calls fail in passing: interrupted, or short of memory for a
// moment. It does all its work all the same, on either backend.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <pinion/pinion.hpp>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "fault/syscall_faults.hpp"
#include "lib/loop/run_task.hpp"
#include "support/skipped.hpp"

using namespace checks;
using namespace std::chrono_literals;
using pinion::Task;

namespace {

std::span<std::byte> bytes(std::string& text) { return std::as_writable_bytes(std::span(text)); }
std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

void require(bool right, const char* what) {
  if (!right) throw std::runtime_error(what);
}

Task<> use_file() {
  const int fd = co_await pinion::io::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i);
  co_await pinion::io::write_all(fd, bytes(std::as_const(text)), 0);
  co_await pinion::io::fsync(fd);
  auto read_part = [](int file, std::string whole, std::size_t at) -> Task<> {
    std::string part(500, '.');
    co_await pinion::io::read_exactly(file, bytes(part), at);
    require(part == whole.substr(at, 500), "another part of the file");
  };
  std::vector<Task<>> parts;
  for (std::size_t i = 0; i < 170; ++i) parts.push_back(read_part(fd, text, i * 500));
  co_await pinion::when_all(std::move(parts));
  co_await pinion::io::close(fd);
}

Task<> echo(int fd) {
  std::string text(100, '.');
  for (;;) {
    const std::size_t n = co_await pinion::io::recv(fd, bytes(text));
    if (n == 0) break;
    co_await pinion::io::send(fd, bytes(std::as_const(text)).first(n));
  }
  co_await pinion::io::close(fd);
}

Task<> use_sockets() {
  int ends[2];
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "no sockets");
  auto ask = [](int fd) -> Task<> {
    for (int i = 0; i < 60; ++i) {
      const std::string text = std::to_string(i * 1001);
      co_await pinion::io::send(fd, bytes(text));
      std::string back(text.size(), '.');
      co_await pinion::io::read_exactly(fd, bytes(back));
      require(back == text, "another answer");
    }
    co_await pinion::io::close(fd);
  };
  co_await pinion::when_all(ask(ends[0]), echo(ends[1]));
}

Task<> use_timeouts() {
  int ends[2];
  require(::pipe2(ends, O_CLOEXEC) == 0, "no pipe");
  auto read_one = [](int fd) -> Task<char> {
    char letter = '.';
    co_await pinion::io::read_exactly(fd, std::as_writable_bytes(std::span(&letter, 1)));
    co_return letter;
  };
  for (int i = 0; i < 10; ++i) {
    bool timed_out = false;
    try {
      (void)co_await pinion::with_timeout(1ms, read_one(ends[0]));
    } catch (const pinion::TaskTimeout&) {
      timed_out = true;
    }
    require(timed_out, "a byte from nowhere");
    require(::write(ends[1], "k", 1) == 1, "no write");
    require(co_await read_one(ends[0]) == 'k', "the byte is lost");
  }
  ::close(ends[0]);
  ::close(ends[1]);
}

/// Several times as many operations at once as the submission queue holds.
Task<> use_many() {
  int ends[2];
  require(::pipe2(ends, O_CLOEXEC) == 0, "no pipe");
  auto wait_for = [](int fd) -> Task<> { (void)co_await pinion::io::poll(fd, POLLIN); };
  auto feed = [](int fd) -> Task<> {
    co_await pinion::sleep_for(1ms);
    co_await pinion::io::write_all(fd, bytes(std::string("x")));
  };
  std::vector<Task<>> waits;
  for (int i = 0; i < 700; ++i) waits.push_back(wait_for(ends[0]));
  co_await pinion::when_all(pinion::when_all(std::move(waits)), feed(ends[1]));
  ::close(ends[0]);
  ::close(ends[1]);
}

/// Cancels several times as many as the submission queue holds, half of which just end.
Task<> cancel_many() {
  int ends[2];
  require(::pipe2(ends, O_CLOEXEC) == 0, "no pipe");
  auto wait_for = [](int fd) -> Task<> { (void)co_await pinion::io::poll(fd, POLLIN); };
  auto feed = [](int fd) -> Task<> {
    co_await pinion::sleep_for(1ms);
    require(::write(fd, "x", 1) == 1, "no write");
  };
  auto wait_for_many = [wait_for](int silent, int fed) -> Task<> {
    std::vector<Task<>> waits;
    for (int i = 0; i < 600; ++i) waits.push_back(wait_for(i % 2 == 0 ? silent : fed));
    co_await pinion::when_all(std::move(waits));
  };
  int fed[2];
  require(::pipe2(fed, O_CLOEXEC) == 0, "no pipe");
  bool timed_out = false;
  try {
    auto both = pinion::when_all(wait_for_many(ends[0], fed[0]), feed(fed[1]));
    co_await pinion::with_timeout(1ms, std::move(both));
  } catch (const pinion::TaskTimeout&) {
    timed_out = true;
  }
  require(timed_out, "it did not time out");
  for (const int fd : {ends[0], ends[1], fed[0], fed[1]}) ::close(fd);
}

Task<> use_all() {
  co_await pinion::when_all(use_file(), use_sockets(), use_timeouts(), use_many(), cancel_many());
}

const std::vector<int> uring_calls = {SYS_io_uring_enter};
const std::vector<int> poll_calls = {SYS_epoll_wait, SYS_epoll_pwait2, SYS_preadv2,  SYS_pwritev2,
                                     SYS_recvfrom,   SYS_sendto,       SYS_pwrite64, SYS_pread64};

/// The whole work in a process of its own, where calls from `nth` to `last` fail with `error`.
FaultOutcome run(pinion::IoBackend backend, int error, std::uint64_t nth, std::uint64_t last) {
  Fault fault;
  fault.calls = backend == pinion::IoBackend::uring ? uring_calls : poll_calls;
  fault.nth = nth;
  fault.last = last;
  fault.error = error;
  FaultRun faulty(fault, [backend](Report& report) {
    {
      pinion::loop::Loop loop(backend);
      pinion::loop::run_task(loop, use_all());
      require(!loop.in_flight(), "something is in flight");
    }
    report.say("right");
  });
  return faulty.outcome();
}

void check_all(pinion::IoBackend backend, const std::vector<int>& errors) {
  const FaultOutcome clean = run(backend, errors.front(), 0, 0);
  if (!clean.listened) {
    checks::skip("seccomp listeners are not allowed here");
    return;
  }
  if (clean.said.find("io_uring") != std::string::npos) {
    checks::skip(clean.said);
    return;
  }
  REQUIRE(clean.said == "right");
  REQUIRE(clean.calls > 20);
  for (const int error : errors) {
    // One call at a time, over the whole run; and bursts.
    for (std::uint64_t nth = 1; nth < clean.calls; nth += 1 + clean.calls / 25) {
      // A ring that has no memory for 0.1 s is given up when it is made.
      for (const std::uint64_t length : {1U, error == EINTR ? 40U : 6U}) {
        CAPTURE(error);
        CAPTURE(nth);
        CAPTURE(length);
        const FaultOutcome outcome = run(backend, error, nth, nth + length - 1);
        CHECK_FALSE(outcome.hung);
        CHECK(outcome.said == "right");
        CHECK(outcome.status == 0);
      }
    }
  }
}

}  // namespace

TEST_CASE_FIXTURE(
    NothingLeft, "io_uring_enter that is interrupted, or short of memory or room, is tried again") {
  adopt_orphans();
  check_all(pinion::IoBackend::uring, {EINTR, EAGAIN, EBUSY});
}

TEST_CASE_FIXTURE(NothingLeft, "calls of the poll backend that are interrupted are made again") {
  adopt_orphans();
  check_all(pinion::IoBackend::poll, {EINTR});
}
