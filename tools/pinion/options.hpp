// The command line of `pinion run` and `pinion topo`.
#pragma once

#include <pinion/placement.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "halt_rule.hpp"
#include "job_history.hpp"
#include "term_sequence.hpp"
#include "time_limit.hpp"

namespace pinion::command {

/// How many jobs run at once, as `-j` says it: a number, or in relation to the usable cores.
struct JobCount {
  enum class Kind { cores, number, percent, more, fewer };
  Kind kind = Kind::cores;
  unsigned value = 0;

  /// At least 1, and at most what a pool can run.
  [[nodiscard]] unsigned resolve(unsigned cores) const noexcept;
};

/// One of the sources whose items are combined.
struct SourceOption {
  bool is_file = false;
  bool is_linked = false;            ///< its items go with those of the source before it
  std::string file{};                ///< "-" is standard input
  std::vector<std::string> words{};  ///< where it is no file
};

struct RunOptions {
  JobCount jobs{};
  bool keep_order = false;
  bool bar = false;
  bool summary = false;
  bool quote = false;
  bool dry_run = false;
  bool line_buffer = false;
  std::uint64_t tries = 1;           ///< of a job that fails; 0: without end
  std::chrono::nanoseconds delay{};  ///< between the starts of two jobs
  std::optional<TimeLimitOption> time_limit{};
  std::optional<HaltOption> halt{};
  TermSequence term_sequence = parse_term_sequence(default_term_sequence);
  char delimiter = '\n';
  Placement placement{};
  std::optional<std::string> job_log{};
  ResumeMode resume = ResumeMode::none;
  std::optional<std::string> results{};  ///< a folder, or a text with replacement strings
  std::optional<std::string> stats{};    ///< a file
  unsigned cpus_per_job = 0;             ///< cores; 0: one, and as many jobs share one as wanted
  std::optional<std::string> column_separator{};  ///< a Perl regular expression
  std::optional<std::uint64_t> items_per_job{};
  std::optional<std::string> tag{};                ///< a text with replacement strings
  std::optional<std::string> working_directory{};  ///< the same
  std::vector<std::string> environment{};          ///< names after `--env`
  std::vector<std::string> command{};              ///< empty: arguments are whole command lines
  std::vector<SourceOption> sources{};             ///< empty: lines of standard input
};

struct TopoOptions {
  unsigned processes = 0;  ///< 0: one per usable core
  bool json = false;
  Placement placement{};
};

/// A command line was understood: what to do, or a text to print and be done (`--help`).
template <class Options>
struct Parsed {
  Options options{};
  std::optional<std::string> help{};
};

/// `arguments` are those after the subcommand. Both throw UsageError.
[[nodiscard]] Parsed<RunOptions> parse_run(const std::vector<std::string>& arguments);
[[nodiscard]] Parsed<TopoOptions> parse_topo(const std::vector<std::string>& arguments);

}  // namespace pinion::command
