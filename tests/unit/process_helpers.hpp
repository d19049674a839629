// Child processes to start, and what is left of them.
#pragma once

#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pinion/errors.hpp>
#include <pinion/io.hpp>
#include <pinion/process.hpp>
#include <pinion/task.hpp>
#include <pinion/when_all.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "lib/loop/run_task.hpp"
#include "lib/os/clock.hpp"
#include "lib/os/fd.hpp"

namespace pinion::tests {

using loop::Loop;
using loop::run_task;
using os::Fd;

inline io::SpawnRequest shell(std::string script) {
  io::SpawnRequest request;
  request.argv = {"sh", "-c", std::move(script)};
  return request;
}

inline Task<io::ProcessExit> run_program(io::SpawnRequest request) {
  io::Process process = co_await io::spawn_process(std::move(request));
  co_return co_await io::wait_process(process);
}

inline Task<std::string> read_all(int fd) {
  std::string all;
  std::string piece(4096, '\0');
  for (;;) {
    const std::size_t n = co_await io::read(fd, std::as_writable_bytes(std::span(piece)));
    if (n == 0) co_return all;
    all.append(piece, 0, n);
  }
}

struct Output {
  std::string out, err;
  io::ProcessExit exit;
};

/// Runs a program with a pipe for each of its outputs, as the batch runner does.
inline Task<Output> capture(io::SpawnRequest request) {
  int out[2];
  int err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) std::abort();
  const Fd out_end(out[0]);
  const Fd err_end(err[0]);
  Fd out_start(out[1]);
  Fd err_start(err[1]);
  request.stdout_fd = out_start.get();
  request.stderr_fd = err_start.get();
  io::Process process = co_await io::spawn_process(std::move(request));
  out_start.reset();
  err_start.reset();
  auto [o, e] = co_await when_all(read_all(out_end.get()), read_all(err_end.get()));
  const io::ProcessExit exit = co_await io::wait_process(process);
  co_return Output{std::move(o), std::move(e), exit};
}

template <class Check>
void on_each_backend(Check check) {
  for (const IoBackend kind : {IoBackend::poll, IoBackend::automatic}) {
    CAPTURE(kind == IoBackend::poll ? "poll" : "automatic");
    Loop loop(kind);
    check(loop);
  }
}

inline int error_of(Loop& loop, io::SpawnRequest request) {
  try {
    run_task(loop, run_program(std::move(request)));
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

inline std::size_t open_descriptors() {
  std::size_t n = 0;
  DIR* const list = ::opendir("/proc/self/fd");
  while (::readdir(list) != nullptr) ++n;
  ::closedir(list);
  return n;
}

inline bool has_children() { return ::waitpid(-1, nullptr, WNOHANG) == 0 || errno != ECHILD; }

}  // namespace pinion::tests
