#include "options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <limits>

#include "errors.hpp"
#include "help.hpp"
#include "results_table.hpp"

namespace pinion::command {
namespace {

// The bound of `PoolOptions::child_concurrency`.
constexpr unsigned jobs_max = 65'536;

// Whether all of `text` is a decimal number; one that is too large becomes the largest.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::invalid_argument || stop != text.data() + text.size()) return {};
  return error == std::errc{} ? number : std::numeric_limits<std::uint64_t>::max();
}

// A number, and what stands around it: "+2", "-2", "50%".
JobCount parse_jobs(const std::string& text) {
  std::string_view digits = text;
  JobCount jobs{.kind = JobCount::Kind::number};
  if (digits.starts_with('+') || digits.starts_with('-')) {
    jobs.kind = digits.front() == '+' ? JobCount::Kind::more : JobCount::Kind::fewer;
    digits.remove_prefix(1);
  } else if (digits.ends_with('%')) {
    jobs.kind = JobCount::Kind::percent;
    digits.remove_suffix(1);
  }
  const std::optional<std::uint64_t> number = parse_number(digits);
  if (!number) {
    throw UsageError(
        fmt::format("-j wants a number of jobs from 1 to {}, not '{}'", jobs_max, text));
  }
  if (*number > jobs_max) {
    throw UsageError(fmt::format("-j {}: at most {} jobs run at once", text, jobs_max));
  }
  const bool relative = jobs.kind == JobCount::Kind::more || jobs.kind == JobCount::Kind::fewer;
  if (*number == 0 && !relative) {
    throw UsageError(
        fmt::format("-j {}: at least one job must be allowed to run; without -j it is one for each "
                    "usable core",
                    text));
  }
  jobs.value = static_cast<unsigned>(*number);
  return jobs;
}

unsigned parse_workers(const std::string& text) {
  const JobCount jobs = parse_jobs(text);
  if (jobs.kind == JobCount::Kind::number) return jobs.value;
  throw UsageError(fmt::format("-j wants a number from 1 to {}, not '{}'", jobs_max, text));
}

std::uint64_t parse_tries(const std::string& text) {
  if (const std::optional<std::uint64_t> tries = parse_number(text)) return *tries;
  throw UsageError(fmt::format("--retries wants a number of tries, 0 for any, not '{}'", text));
}

std::chrono::nanoseconds parse_delay(const std::string& text) {
  if (const auto delay = parse_duration(text)) return *delay;
  throw UsageError(fmt::format("--delay wants a time as in 0.5, 10 or 1.5m, not '{}'", text));
}

unsigned parse_cpus(const std::string& text) {
  constexpr std::uint64_t cpus_max = 8192;
  const std::optional<std::uint64_t> cpus = parse_number(text);
  if (cpus && *cpus > 0 && *cpus <= cpus_max) return static_cast<unsigned>(*cpus);
  throw UsageError(fmt::format("--cpus wants a number of cores for each job, not '{}'", text));
}

std::uint64_t parse_items(const std::string& text) {
  if (const std::optional<std::uint64_t> items = parse_number(text)) return *items;
  throw UsageError(fmt::format("-n wants a number of arguments, not '{}'", text));
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

// Cuts "command ::: a b :::+ c d :::: file" into the command and its sources.
void split_sources(const std::vector<std::string>& words, RunOptions& options) {
  const std::string* mark = nullptr;
  bool is_file = false;
  const auto add = [&](const std::string& file) {
    const bool is_linked = mark->ends_with('+') && !options.sources.empty();
    options.sources.push_back({.is_file = is_file, .is_linked = is_linked, .file = file});
  };
  for (const std::string& word : words) {
    if (word == ":::" || word == "::::" || word == ":::+" || word == "::::+") {
      mark = &word;
      is_file = word.starts_with("::::");
      if (!is_file) add({});
    } else if (mark == nullptr) {
      options.command.push_back(word);
    } else if (is_file) {
      add(word);
    } else {
      options.sources.back().words.push_back(word);
    }
  }
  if (mark != nullptr && options.sources.empty()) {
    throw UsageError(fmt::format("{} wants the names of files after it", *mark));
  }
}

std::vector<std::string> split_at_commas(const std::vector<std::string>& texts) {
  std::vector<std::string> parts;
  for (const std::string& text : texts) {
    for (std::size_t at = 0; at <= text.size();) {
      const std::size_t end = std::min(text.find(',', at), text.size());
      if (end > at) parts.push_back(text.substr(at, end - at));
      at = end + 1;
    }
  }
  return parts;
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

// An option whose text `read` understands.
template <class T, class Read>
void add_parsed(CLI::App& app, const char* names, T& to, Read read) {
  app.add_option_function<std::string>(names,
                                       [&to, read](const std::string& text) { to = read(text); });
}

// An option that may come more than once, with one value each time.
void one_each(CLI::Option* option) {
  option->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
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

unsigned JobCount::resolve(unsigned cores) const noexcept {
  std::uint64_t jobs = cores;
  switch (kind) {
    case Kind::cores:
      break;
    case Kind::number:
      jobs = value;
      break;
    case Kind::percent:
      jobs = std::uint64_t{cores} * value / 100;
      break;
    case Kind::more:
      jobs = std::uint64_t{cores} + value;
      break;
    case Kind::fewer:
      jobs = cores > value ? cores - value : 0;
      break;
  }
  return static_cast<unsigned>(std::clamp<std::uint64_t>(jobs, 1, jobs_max));
}

Parsed<RunOptions> parse_run(const std::vector<std::string>& arguments) {
  Parsed<RunOptions> parsed;
  RunOptions& options = parsed.options;
  bool null_delimited = false, tag = false;
  CLI::App app("", "pinion run");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add_parsed(app, "-j,--jobs,-P,--max-procs", options.jobs, parse_jobs);
  std::string places, bind;
  app.add_option("--places", places);
  app.add_option("--bind", bind);
  add_parsed(app, "-n,--max-args", options.items_per_job, parse_items);
  add_parsed(app, "--cpus", options.cpus_per_job, parse_cpus);
  app.add_option("--stats", options.stats);
  add_parsed(app, "--retries", options.tries, parse_tries);
  add_parsed(app, "--timeout", options.time_limit, parse_time_limit);
  add_parsed(app, "--delay", options.delay, parse_delay);
  add_parsed(app, "--halt,--halt-on-error", options.halt, parse_halt);
  add_parsed(app, "--term-seq,--termseq", options.term_sequence, parse_term_sequence);
  app.add_flag("--line-buffer,--linebuffer,--lb", options.line_buffer);
  std::vector<std::string> files, names;
  one_each(app.add_option("-a,--arg-file", files));
  one_each(app.add_option("--env", names));
  app.add_option("--joblog", options.job_log);
  app.add_option("-C,--colsep", options.column_separator);
  app.add_option("--tagstring", options.tag);
  app.add_option("--wd,--workdir", options.working_directory);
  app.add_option("--results,--res", options.results);
  bool resume = false, resume_failed = false, retry_failed = false;
  app.add_flag("--resume", resume);
  app.add_flag("--resume-failed", resume_failed);
  app.add_flag("--retry-failed", retry_failed);
  app.add_flag("-k,--keep-order", options.keep_order);
  app.add_flag("-0,--null", null_delimited);
  app.add_flag("-q,--quote", options.quote);
  app.add_flag("--dry-run", options.dry_run);
  app.add_flag("--tag", tag);
  app.add_flag("--bar", options.bar);
  app.add_flag("--summary", options.summary);
  app.prefix_command();
  if (parse(app, arguments)) {
    parsed.help = run_help;
    return parsed;
  }

  options.placement = parse_placement(places, bind);
  if (null_delimited) options.delimiter = '\0';
  if (tag && !options.tag) options.tag = "{}";
  options.environment = split_at_commas(names);
  for (std::string& file : files) options.sources.push_back({.is_file = true, .file = file});
  split_sources(words_after_options(app), options);
  // The rows of a table are whole jobs.
  if (options.results && ResultsTable::separator_of(*options.results)) options.line_buffer = false;
  if (resume) options.resume = ResumeMode::unfinished;
  if (resume_failed) options.resume = ResumeMode::failed;
  if (retry_failed) options.resume = ResumeMode::only_failed;
  if (options.resume != ResumeMode::none && options.job_log.value_or("-") == "-") {
    throw UsageError("a run is resumed from its job log: --joblog with its file is needed");
  }
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
  if (*jobs_option) parsed.options.processes = parse_workers(processes);
  parsed.options.placement = parse_placement(places, bind);
  return parsed;
}

}  // namespace pinion::command
