// The reference: two forked processes that each run one task, told and answered over a pipe.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <stdexcept>

#include "perf/harness/contestant.hpp"
#include "perf/harness/spin.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {
namespace {

struct Process {
  pid_t pid = 0;
  int to = -1;
  int from = -1;
};

Process make_process() {
  std::array<int, 2> to{};
  std::array<int, 2> from{};
  if (pipe(to.data()) != 0 || pipe(from.data()) != 0) throw std::runtime_error("no pipe");
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("no process");
  if (pid == 0) {
    close(to[1]);
    close(from[0]);
    char task = 0;
    while (read(to[0], &task, 1) == 1 && write(from[1], &task, 1) == 1) {
    }
    _exit(0);
  }
  close(to[0]);
  close(from[1]);
  return {pid, to[1], from[0]};
}

void make_use_and_end() {
  std::array<Process, sizes::start_workers> processes;
  for (Process& process : processes) process = make_process();
  char task = 0;
  for (const Process& process : processes) {
    if (write(process.to, &task, 1) != 1) throw std::runtime_error("a process has gone");
  }
  for (const Process& process : processes) {
    if (read(process.from, &task, 1) != 1) throw std::runtime_error("a process has gone");
  }
  for (const Process& process : processes) {  // all: the second has the first one's end, too
    close(process.to);
    close(process.from);
  }
  for (const Process& process : processes) waitpid(process.pid, nullptr, 0);
}

Sample bare() {
  const auto start = Clock::now();
  for (unsigned i = 0; i < sizes::start_pools; ++i) make_use_and_end();
  return {seconds_since(start), sizes::start_pools};
}

const Contestant registered{"start/bare", bare};

}  // namespace
}  // namespace pinion::perf
