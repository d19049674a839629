// What an earlier run has done, read from its job log.
#pragma once

#include <boost/functional/hash.hpp>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "input_source.hpp"
#include "job_name.hpp"

namespace pinion::command {

/// What to do with the jobs in a log.
enum class ResumeMode {
  none,
  unfinished,  ///< run those that are not in it
  failed,      ///< and those that have failed
  only_failed  ///< run those that have failed, and no others
};

/// Jobs are known by their names, so that a log still fits when the input was sorted, cut or added
/// to. A job that comes more than once was done as often as the log says. Lines that are not whole,
/// as a kill leaves them, count for nothing; so do jobs that were killed together with the run.
class JobHistory {
 public:
  /// Reads the log at `path`; where there is none, or only the begin of a head, nothing was done.
  /// Throws InputError, also for a file that is no job log. O(n) in time and memory.
  JobHistory(const std::string& path, ResumeMode mode);

  /// Whether the job need not be run; asked once for each job.
  [[nodiscard]] bool has_done(const JobName& name);
  /// How much of the file to keep: up to the end of its last whole line; 0: not even the head.
  [[nodiscard]] std::uint64_t whole_bytes() const noexcept { return whole_bytes_; }

  /// The jobs that have failed, in the order of their numbers.
  [[nodiscard]] std::vector<LoggedJob> take_failed() noexcept { return std::move(failed_); }

 private:
  struct Entry {
    JobName name{};
    bool failed = false;
    bool finished = true;
    std::string command{};  // where it may be run again
  };
  using Hash = boost::hash<JobName>;
  using Entries = std::unordered_map<std::uint64_t, std::vector<Entry>>;

  void read_line(std::string&& line, Entries& entries, bool keep_commands) const;

  std::uint64_t whole_bytes_ = 0;
  std::unordered_map<JobName, std::uint64_t, Hash> done_;  // how often
  std::vector<LoggedJob> failed_;
};

/// The jobs that have failed, as command lines.
class FailedJobs final : public InputSource {
 public:
  explicit FailedJobs(std::vector<LoggedJob> jobs) noexcept : jobs_(std::move(jobs)) {}

  Next next(std::vector<std::string>& arguments) override;
  [[nodiscard]] std::optional<std::uint64_t> total() const override { return jobs_.size(); }
  [[nodiscard]] std::string nothing() const override { return "no job in the log has failed"; }
  [[nodiscard]] std::string position() const override;
  [[nodiscard]] const LoggedJob* logged() const noexcept override { return &jobs_[given_ - 1]; }

 private:
  std::vector<LoggedJob> jobs_;
  std::size_t given_ = 0;
};

}  // namespace pinion::command
