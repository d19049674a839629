#include "options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "errors.hpp"

namespace pinion::command {
namespace {

// The bound of `PoolOptions::child_concurrency`.
constexpr unsigned jobs_max = 65'536;

unsigned parse_jobs(const std::string& text) {
  unsigned jobs = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, jobs);
  if (error == std::errc::invalid_argument || stop != end) {
    throw UsageError(
        fmt::format("-j wants a number of jobs from 1 to {}, not '{}'", jobs_max, text));
  }
  if (error != std::errc{} || jobs > jobs_max) {
    throw UsageError(fmt::format("-j {}: at most {} jobs run at once", text, jobs_max));
  }
  if (jobs == 0) {
    throw UsageError(
        "-j 0: at least one job must be allowed to run; without -j it is one for each "
        "usable core");
  }
  return jobs;
}

Bind parse_bind(const std::string& text) {
  if (text.empty() || text == "close") return Bind::close;
  if (text == "spread") return Bind::spread;
  if (text == "primary") return Bind::primary;
  throw UsageError(fmt::format("--bind wants close, spread or primary, not '{}'", text));
}

// Both may be empty: then they were not given.
Placement parse_placement(const std::string& places, const std::string& bind) {
  const Bind order = parse_bind(bind);
  return places == "none" ? Placement::none() : Placement(places, order);
}

// Cuts "command ::: a b ::: c" into the command and its lists of arguments.
void split_sources(const std::vector<std::string>& words, RunOptions& options) {
  for (const std::string& word : words) {
    if (word == ":::") {
      options.lists.emplace_back();
    } else if (word == "::::" || word == ":::+" || word == "::::+") {
      throw UsageError(
          fmt::format("{} is not supported: give arguments after :::, or lines by -a", word));
    } else if (options.lists.empty()) {
      options.command.push_back(word);
    } else {
      options.lists.back().push_back(word);
    }
  }
  if (!options.lists.empty() && options.argument_file) {
    throw UsageError("arguments come from -a or from :::, not from both");
  }
}

// A program's own arguments follow its name and are not looked at. What comes before it and was
// not known is an error.
std::vector<std::string> words_after_options(const CLI::App& app) {
  std::vector<std::string> words = app.remaining();
  if (!words.empty() && words.front() == "--") {
    words.erase(words.begin());
  } else if (!words.empty() && words.front().size() > 1 && words.front().front() == '-') {
    throw UsageError(fmt::format("there is no option {}", words.front()));
  }
  return words;
}

// Returns whether help was asked for.
bool parse(CLI::App& app, std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    return true;
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  return false;
}

constexpr const char* run_help =
    R"(Usage: pinion run [options] command {} ::: arguments...
       pinion run [options] command {} < lines         (or -a FILE)
       pinion run [options] < command-lines

  -j, --jobs N       jobs at once; default: one for each usable core
  -k, --keep-order   print outputs in the order of the input
  -a, --arg-file F   read lines from the file F
  -0, --null         lines end with NUL, as from find -print0
      --joblog F     write a log of the jobs to F, in GNU parallel's format
      --bar          show progress, where standard error is a terminal
      --summary      say at the end how fast the jobs ran, and on which CPUs
      --places P     bind to: cores, sockets, 0-7,16, {0:4}:8:4 ...; none
      --bind B       deal out the places: close (default), spread or primary

  {} {.} {/} {//} {/.}  argument; less its extension; its name, folder, stem
  {#} {%} {1} {2.}      job number; slot; those of the first, the second :::

  pinion run -j4 gzip -k {} ::: *.log
  find . -name '*.wav' | pinion run --bar flac -s {} -o {.}.flac
  pinion run --joblog done.log --places cores < commands.sh

Exit status: number of failed jobs; 101 for more than 100; 255 for other errors.
)";

constexpr const char* topo_help =
    R"(Usage: pinion topo [-j N] [--places P] [--bind B] [--json]

Shows which CPUs a pool may use and why, where it would put its workers, the
NUMA nodes, and what carries its I/O.

  -j, --jobs N    workers; default: one for each usable core
      --places P  as for pinion run
      --bind B    as for pinion run
      --json      the same for programs; CPUs are lists as taskset -c reads them
)";

}  // namespace

Parsed<RunOptions> parse_run(const std::vector<std::string>& arguments) {
  Parsed<RunOptions> parsed;
  RunOptions& options = parsed.options;
  std::string jobs, file, log, places, bind;
  bool null_delimited = false;
  CLI::App app("", "pinion run");
  const CLI::Option* jobs_option = app.add_option("-j,--jobs", jobs);
  const CLI::Option* file_option = app.add_option("-a,--arg-file", file);
  const CLI::Option* log_option = app.add_option("--joblog", log);
  app.add_option("--places", places);
  app.add_option("--bind", bind);
  app.add_flag("-k,--keep-order", options.keep_order);
  app.add_flag("-0,--null", null_delimited);
  app.add_flag("--bar", options.bar);
  app.add_flag("--summary", options.summary);
  app.prefix_command();
  if (parse(app, arguments)) {
    parsed.help = run_help;
    return parsed;
  }

  if (*jobs_option) options.jobs = parse_jobs(jobs);
  options.placement = parse_placement(places, bind);
  if (*log_option) options.job_log = log;
  if (*file_option) options.argument_file = file;
  if (null_delimited) options.delimiter = '\0';
  split_sources(words_after_options(app), options);
  return parsed;
}

Parsed<TopoOptions> parse_topo(const std::vector<std::string>& arguments) {
  Parsed<TopoOptions> parsed;
  std::string processes, places, bind;
  CLI::App app("", "pinion topo");
  const CLI::Option* jobs_option = app.add_option("-j,--jobs", processes);
  app.add_option("--places", places);
  app.add_option("--bind", bind);
  app.add_flag("--json", parsed.options.json);
  if (parse(app, arguments)) {
    parsed.help = topo_help;
    return parsed;
  }
  if (*jobs_option) parsed.options.processes = parse_jobs(processes);
  parsed.options.placement = parse_placement(places, bind);
  return parsed;
}

}  // namespace pinion::command
