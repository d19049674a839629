// The reference of a batch: a loop of posix_spawn and waitpid that keeps two children running.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "perf/batch/job.hpp"
#include "perf/harness/contestant.hpp"
#include "perf/harness/spin.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {
namespace {

/// With the job's number as argument, as the command's jobs have theirs: a program may do more for
/// one that has an argument (the true of GNU does: it sets its locale, a fifth of its time).
void start_job(unsigned number) {
  std::string argument = std::to_string(number);
  char* argv[] = {const_cast<char*>(batch_job), argument.data(), nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, batch_job, nullptr, nullptr, argv, environ);
  if (error != 0)
    throw Skip(std::string("cannot start ") + batch_job + ": " + std::strerror(error));
}

Sample spawn_loop() {
  const auto start = Clock::now();
  unsigned started = 0;
  for (unsigned ended = 0; ended < sizes::batch_jobs;) {
    while (started < sizes::batch_jobs && started - ended < sizes::batch_slots) {
      start_job(++started);
    }
    int status = 0;
    if (waitpid(-1, &status, 0) < 0) throw std::runtime_error("a job was not there to wait for");
    if (status != 0) throw std::runtime_error(std::string(batch_job) + " failed");
    ++ended;
  }
  return {seconds_since(start), sizes::batch_jobs};
}

const Contestant registered{"batch/posix_spawn", spawn_loop};

}  // namespace
}  // namespace pinion::perf
