// `pinion run`.

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <thread>

#include "commands.hpp"
#include "composed_source.hpp"
#include "cpu_places.hpp"
#include "errors.hpp"
#include "input_source.hpp"
#include "job_history.hpp"
#include "job_log.hpp"
#include "job_planner.hpp"
#include "options.hpp"
#include "output.hpp"
#include "runner.hpp"
#include "stats_log.hpp"

namespace pinion::command {
namespace {

void say(const std::string& sentence) {
  fmt::print(stderr, "pinion run: {}\n", printable(sentence));
}

std::unique_ptr<InputSource> open_one(const SourceOption& option, char delimiter) {
  if (!option.is_file)
    return std::make_unique<ArgumentLists>(std::vector<std::vector<std::string>>{option.words});
  if (option.file == "-" && ::isatty(STDIN_FILENO) == 1) {
    say("reading lines from the terminal; Ctrl-D ends them");
  }
  return Lines::open(option.file, delimiter);
}

std::unique_ptr<InputSource> open_source(const RunOptions& options) {
  using Sources = std::vector<std::unique_ptr<InputSource>>;
  std::vector<Sources> groups;  // of those that are linked
  const auto add = [&](const SourceOption& option) {
    std::unique_ptr<InputSource> source = open_one(option, options.delimiter);
    if (options.column_separator) {
      source = std::make_unique<Columns>(std::move(source), *options.column_separator);
    }
    if (!option.is_linked) groups.emplace_back();
    groups.back().push_back(std::move(source));
  };
  for (const SourceOption& option : options.sources) add(option);
  if (groups.empty()) add({.is_file = true, .file = "-"});
  Sources sources;
  for (Sources& group : groups) {
    sources.push_back(group.size() == 1 ? std::move(group.front())
                                        : std::make_unique<Linked>(std::move(group)));
  }
  std::unique_ptr<InputSource> source = sources.size() == 1
                                            ? std::move(sources.front())
                                            : std::make_unique<Combination>(std::move(sources));
  if (options.items_per_job) {
    source = std::make_unique<Grouped>(std::move(source), *options.items_per_job);
  }
  return source;
}

// No more workers than places to put them: the jobs beyond that share workers, unless each has its
// own number of cores.
Division divide(RunOptions& options) {
  // Neighbours are those that are dealt one after the other.
  const bool in_order = options.cpus_per_job > 0 && !options.placement.is_none();
  std::vector<std::string> cores =
      cpu_places(in_order ? Placement(options.placement.places()) : options.placement);
  if (cores.empty()) cores.resize(std::max(std::thread::hardware_concurrency(), 1u));
  std::size_t places = cores.size();
  if (options.cpus_per_job > 0) {
    options.placement = group_places(cores, options.cpus_per_job, options.placement.bind());
    places /= options.cpus_per_job;
  }
  Division division;
  division.jobs = options.jobs.resolve(static_cast<unsigned>(places));
  if (options.cpus_per_job > 0 && division.jobs > places) {
    throw UsageError(
        fmt::format("-j {} and --cpus {} want {} cores; {} may be used (pinion topo "
                    "tells why)",
                    division.jobs, options.cpus_per_job,
                    std::uint64_t{division.jobs} * options.cpus_per_job, cores.size()));
  }
  division.workers = std::min(division.jobs, static_cast<unsigned>(places));
  division.jobs_each = (division.jobs + division.workers - 1) / division.workers;
  const bool exact =
      JobPlanner(options).uses_slot() || options.halt.has_value() || options.delay.count() > 0;
  division.ahead = jobs_ahead(division, exact);
  // Where nothing is bound, the jobs share all cores.
  const bool shares = options.cpus_per_job == 0 && cores.front().empty();
  division.threads =
      shares ? std::max(static_cast<unsigned>(places) / division.jobs, 1u) : options.cpus_per_job;
  return division;
}

struct Outcome {
  int status = 255;
  bool output_was_closed = false;
};

// Prints what would be run.
Outcome dry_run(const RunOptions& options, const Division& division, InputSource& source,
                std::optional<JobHistory> history) {
  const JobPlanner planner(options);
  Output output(Output::Order::completion);
  std::vector<std::string> arguments;
  std::uint64_t sequence = 0;
  while (true) {
    const InputSource::Next next = source.next(arguments);
    if (next == InputSource::Next::end) break;
    if (next == InputSource::Next::pending) {
      output.flush();
      pollfd readable{source.descriptor(), POLLIN, 0};
      (void)::poll(&readable, 1, -1);
      continue;
    }
    const auto slot = static_cast<unsigned>(sequence % division.jobs) + 1;
    ++sequence;
    PlannedJob job =
        planner.plan({.arguments = arguments, .sequence = sequence, .slot = slot}, source.logged());
    JobOutput line{.tag = std::move(job.tag)};
    if (!history || !history->has_done(job.name)) line.out.text = std::move(job.line) + '\n';
    output.add(sequence, std::move(line));
  }
  output.flush();
  return {.status = 0};
}

Outcome run(RunOptions options) {
  // Whatever can be refused is refused before the first job, and before there is a pool.
  std::optional<JobHistory> history;
  if (options.resume != ResumeMode::none) history.emplace(*options.job_log, options.resume);
  std::unique_ptr<InputSource> source;
  if (options.resume == ResumeMode::only_failed) {
    source = std::make_unique<FailedJobs>(history->take_failed());
    options.command.clear();  // the log has the whole lines
    options.quote = false;
  } else {
    source = open_source(options);
  }
  const Division division = divide(options);
  if (options.dry_run) return dry_run(options, division, *source, std::move(history));
  std::optional<JobLog> log;
  if (options.job_log) log.emplace(*options.job_log, history ? history->whole_bytes() : 0);
  std::optional<StatsLog> stats;
  if (options.stats) stats.emplace(*options.stats, history.has_value());
  Runner runner(options, division, std::move(source), std::move(log), std::move(stats),
                std::move(history));
  const int status = runner.run();
  return {status, runner.output_was_closed()};
}

}  // namespace

int run_command(const std::vector<std::string>& arguments) {
  try {
    const Parsed<RunOptions> parsed = parse_run(arguments);
    if (parsed.help) {
      fmt::print("{}", *parsed.help);
      return 0;
    }
    const Outcome outcome = run(parsed.options);
    // As any other program that writes to a pipe without a reader. Where SIGPIPE is ignored, this
    // returns.
    if (outcome.output_was_closed) ::raise(SIGPIPE);
    return outcome.status;
  } catch (const UsageError& error) {
    say(error.what());
    say("pinion run --help shows how it is used");
  } catch (const std::exception& error) {
    say(error.what());
  }
  return 255;
}

}  // namespace pinion::command
