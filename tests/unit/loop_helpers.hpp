// Tasks that read, write and wait, and loops to run them on.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <pinion/errors.hpp>
#include <pinion/io.hpp>
#include <pinion/sleep.hpp>
#include <pinion/task.hpp>
#include <pinion/when_all.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "lib/loop/run_task.hpp"
#include "lib/os/clock.hpp"
#include "lib/os/fd.hpp"
#include "tests/support/skipped.hpp"

namespace pinion::tests {

using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;
using os::Fd;

inline constexpr std::int64_t ms = 1'000'000;

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

inline std::span<std::byte> bytes_of(std::string& text) {
  return std::as_writable_bytes(std::span(text));
}
inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

inline Task<std::string> read_some(int fd, std::size_t n,
                                   std::optional<std::uint64_t> offset = std::nullopt) {
  std::string text(n, '.');
  text.resize(co_await io::read(fd, bytes_of(text), offset));
  co_return text;
}
inline Task<std::size_t> write_some(int fd, std::string text,
                                    std::optional<std::uint64_t> offset = std::nullopt) {
  co_return co_await io::write(fd, bytes_of(std::as_const(text)), offset);
}
inline Task<> write_later(int fd, std::string text, Duration delay) {
  co_await sleep_for(delay);
  co_await write_some(fd, std::move(text));
}
inline Task<short> poll_for(int fd, short events) { co_return co_await io::poll(fd, events); }
inline Task<> sleep_long() { co_await sleep_for(1h); }

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

inline bool uring_is_here() {
  static const std::string obstacle = [] {
    Loop loop(IoBackend::uring);
    Pipe pipe;
    try {
      (void)run_task(loop, poll_for(pipe.in.get(), POLLOUT));
      return std::string();
    } catch (const std::system_error& error) {
      return std::string(error.what());
    }
  }();
  if (!obstacle.empty()) checks::skip("io_uring is not here: " + obstacle);
  return obstacle.empty();
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

struct IgnoreSigpipe {
  IgnoreSigpipe() { std::signal(SIGPIPE, SIG_IGN); }
};
inline const IgnoreSigpipe ignore_sigpipe;

}  // namespace pinion::tests
