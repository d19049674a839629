// The outputs of jobs in files of their own, as `--results` wants them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "command_template.hpp"
#include "output.hpp"

namespace pinion::command {

/// Where the files of one job are.
struct ResultPaths {
  std::string out{};
  std::string err{};
  std::string sequence{};
};

class Results {
 public:
  /// `place`: a folder, in which each job gets one, named by the numbers of its sources and its
  /// arguments; or a text with replacement strings, which names a file, or with a slash at its end
  /// a folder. Throws UsageError for GNU parallel's .json.
  explicit Results(const std::string& place);

  [[nodiscard]] ResultPaths paths(const Substitution& job) const;
  [[nodiscard]] bool uses_slot() const noexcept { return template_ && template_->uses_slot(); }

 private:
  std::string folder_;
  std::optional<CommandTemplate> template_;
};

/// Writes all of a job's outputs. Both throw WriteError.
void write_results(const ResultPaths& paths, std::uint64_t sequence, const JobOutput& output);
/// Adds to one of them; an empty text makes it, and empties it where `anew`.
void add_result(const std::string& path, std::string_view text, bool anew = false);

}  // namespace pinion::command
