// The command line of `pinion run` and `pinion topo`.
#pragma once

#include <pinion/placement.hpp>

#include <optional>
#include <string>
#include <vector>

namespace pinion::command {

struct RunOptions {
  unsigned jobs = 0;  ///< 0: one per usable core
  bool keep_order = false;
  bool bar = false;
  bool summary = false;
  char delimiter = '\n';
  Placement placement{};
  std::optional<std::string> job_log{};
  std::optional<std::string> argument_file{};
  std::vector<std::string> command{};             ///< empty: arguments are whole command lines
  std::vector<std::vector<std::string>> lists{};  ///< after each `:::`; empty: read lines
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
