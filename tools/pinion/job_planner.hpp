// What the options make of the arguments of one job.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "command_template.hpp"
#include "options.hpp"

namespace pinion::command {

/// A job before it is run.
struct PlannedJob {
  std::uint64_t sequence = 0;
  std::string line{};       ///< what the shell would be given
  std::string tag{};        ///< stands before each line of its output
  std::string directory{};  ///< where it runs; empty: the command's own
};

class JobPlanner {
 public:
  explicit JobPlanner(const RunOptions& options);

  [[nodiscard]] PlannedJob plan(const Substitution& job) const;
  [[nodiscard]] std::string line(const Substitution& job) const { return command_.expand(job); }
  /// Whether `{%}` occurs, so that the slot must be known before a job is submitted.
  [[nodiscard]] bool uses_slot() const noexcept;

 private:
  CommandTemplate command_;
  std::optional<CommandTemplate> tag_;
  std::optional<CommandTemplate> directory_;
};

}  // namespace pinion::command
