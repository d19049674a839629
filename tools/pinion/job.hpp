// One job: a process that a coroutine in a pinned worker starts, listens to and reaps.
#pragma once

#include <pinion/task.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "job_board.hpp"
#include "spill.hpp"

namespace pinion::command {

/// What a worker needs to know of a job.
struct JobSpec {
  std::uint64_t sequence = 0;
  std::uint64_t number = 0;         ///< what it is told to be
  std::uint32_t place = 0;          ///< on the board
  std::vector<std::string> argv{};  ///< program and arguments
  std::string program{};            ///< its file, where that is known
  std::string directory{};          ///< where it runs; empty: the command's own
  unsigned slot = 0;                ///< from 1; 0: the worker gives it one
};

/// What a job has used, with the processes that it has waited for.
struct JobUsage {
  double user = 0;                ///< seconds
  double system = 0;              ///< seconds
  std::uint64_t max_rss_kib = 0;  ///< at least that of the worker when it started the job
  std::vector<unsigned> cpus{};   ///< that it could run on, once executed; where that was looked at
  bool bound = false;             ///< and these were its worker's
};

/// How a job went.
struct JobResult {
  bool started = false;    ///< false: the run was stopped before, or it could not be started
  bool withdrawn = false;  ///< not begun: the run was stopped, or the job was taken back
  int shortage = 0;  ///< errno, where it was not started for want of files, processes or memory
  int exit_value = 0;
  int signal = 0;
  unsigned worker = 0;    ///< index of the worker that ran it
  double start_time = 0;  ///< seconds since 1970
  double run_time = 0;    ///< seconds
  std::string out{};      ///< standard output, or what follows the part that is in a file
  std::string err{};
  std::uint64_t out_spilled = 0;  ///< bytes in a file that was handed over; 0: there is none
  std::uint64_t err_spilled = 0;
  JobUsage usage{};
  std::string error{};  ///< what went wrong besides the job's own failure, as a sentence's end
};

/// What is the same for all jobs of a run.
struct JobSurroundings {
  JobBoard* board = nullptr;
  SpillAddress spill_address{};  ///< the place for large outputs
  unsigned jobs_each = 1;        ///< how many jobs a worker runs at once
  unsigned threads = 0;          ///< for each job; 0: by the CPUs of its worker
  bool looks_at_cpus = false;    ///< each job's binding is looked at once it is executed
  bool line_buffer = false;      ///< outputs go to the command as they come
};

/// Tells the workers, which are forked later and must not outlive the board. Called by: the
/// command, before it makes the pool.
void prepare_jobs(const JobSurroundings& surroundings);

/// Runs the job to its end. Output of processes that outlive the job's own is not waited for. When
/// cancelled or destroyed, it kills the job's process group.
Task<JobResult> run_job(JobSpec spec);

}  // namespace pinion::command
