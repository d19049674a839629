// What the options make of the arguments of one job.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "command_template.hpp"
#include "input_source.hpp"
#include "job_name.hpp"
#include "options.hpp"
#include "results.hpp"

namespace pinion::command {

/// A job before it is run.
struct PlannedJob {
  std::uint64_t sequence = 0;
  std::string line{};                    ///< what the shell would be given
  std::vector<std::string> arguments{};  ///< where a table of results wants them
  std::string tag{};                     ///< stands before each line of its output
  std::string directory{};               ///< where it runs; empty: the command's own
  ResultPaths results{};                 ///< where its outputs are written
  JobName name{};                        ///< where runs may be resumed
  std::string mark{};                    ///< what its line in the log needs besides the command
  std::uint64_t logged_as = 0;           ///< its number in the log
};

class JobPlanner {
 public:
  explicit JobPlanner(const RunOptions& options);

  /// `logged`: the job comes from the log, where it was expanded already.
  [[nodiscard]] PlannedJob plan(const Substitution& job, const LoggedJob* logged = nullptr) const;
  [[nodiscard]] std::string line(const Substitution& job) const { return command_.expand(job); }
  /// Whether `{%}` occurs, so that the slot must be known before a job is submitted.
  [[nodiscard]] bool uses_slot() const noexcept;

  [[nodiscard]] bool has_results() const noexcept { return results_.has_value(); }

 private:
  void name(PlannedJob& planned, const Substitution& job) const;

  CommandTemplate command_;
  std::optional<CommandTemplate> tag_;
  std::optional<CommandTemplate> directory_;
  std::optional<Results> results_;
  std::string own_directories_;  ///< what the names of folders begin with, for --wd ...
  bool has_table_;
  bool is_named_;
  bool is_marked_;           // the command alone does not make the job
  std::string environment_;  // the variables that do
};

}  // namespace pinion::command
