// The variables that a job finds in its environment, beside those of the command itself.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace pinion::command {

/// Sets PARALLEL_SEQ and PARALLEL_JOBSLOT in this process, for the next program that it starts.
/// Called by: a worker. O(1), and nothing is allocated.
void set_job_variables(std::uint64_t sequence, unsigned slot) noexcept;

/// Tells OpenMP and the usual BLAS libraries how many threads to start, unless OMP_NUM_THREADS,
/// which they all heed, or their own variable is set. Called by: a worker, before its first job.
void set_thread_variables(unsigned threads);

/// The CPUs that a process may run on, in rising order; empty where that cannot be told.
[[nodiscard]] std::vector<unsigned> cpus_of(pid_t pid);

/// Whether one of the `names` is a function that bash has exported (`_` stands for all names), so
/// that only bash knows it.
[[nodiscard]] bool names_exported_function(const std::vector<std::string>& names);

/// The variable in which bash exports a function.
[[nodiscard]] inline std::string exported_function_variable(const std::string& function) {
  return "BASH_FUNC_" + function + "%%";
}

/// The file of the shell that knows them.
[[nodiscard]] std::string shell_of_functions();

/// The numbers of the jobs that a worker runs at once, from 0, each the lowest that is free.
class LocalSlots {
 public:
  [[nodiscard]] unsigned take();
  void give_back(unsigned slot) noexcept { taken_[slot] = false; }

 private:
  std::vector<bool> taken_;
};

}  // namespace pinion::command
