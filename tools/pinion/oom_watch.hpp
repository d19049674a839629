// Tells a job that the kernel has killed for want of memory from one that somebody has killed.
#pragma once

#include <cstdint>
#include <string>

namespace pinion::command {

/// Counts the kills in this process's memory cgroup, where the jobs are, too; where that cannot be
/// read, those of the whole machine. A guess: two jobs that are killed at one time, one by the
/// kernel and one by a user, may be taken for each other.
class OomWatch {
 public:
  OomWatch();

  /// Whether a job that was just killed by SIGKILL was so by the kernel.
  [[nodiscard]] bool has_killed();

 private:
  [[nodiscard]] std::uint64_t count() const;

  std::string path_;
  std::uint64_t seen_ = 0;
};

/// The number after `name` in a file with a name and a number in each line; 0 where it is not
/// there.
[[nodiscard]] std::uint64_t number_in(const std::string& path, const std::string& name);

}  // namespace pinion::command
