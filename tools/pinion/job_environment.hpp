// The variables that a job finds in its environment, beside those of the command itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pinion::command {

/// Sets PARALLEL_SEQ and PARALLEL_JOBSLOT in this process, for the next program that it starts.
/// Called by: a worker. O(1), and nothing is allocated.
void set_job_variables(std::uint64_t sequence, unsigned slot) noexcept;

/// Whether one of the `names` is a function that bash has exported (`_` stands for all names), so
/// that only bash knows it.
[[nodiscard]] bool names_exported_function(const std::vector<std::string>& names);

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
