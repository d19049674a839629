// `pinion run`.

#include <pinion/topo.hpp>

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>

#include "commands.hpp"
#include "errors.hpp"
#include "input_source.hpp"
#include "job_log.hpp"
#include "options.hpp"
#include "runner.hpp"

namespace pinion::command {
namespace {

void say(const std::string& sentence) {
  fmt::print(stderr, "pinion run: {}\n", printable(sentence));
}

std::unique_ptr<InputSource> open_source(const RunOptions& options) {
  if (!options.lists.empty()) return std::make_unique<ArgumentLists>(options.lists);
  const std::string path = options.argument_file.value_or("-");
  if (path == "-" && ::isatty(STDIN_FILENO) == 1) {
    say("reading lines from the terminal; Ctrl-D ends them");
  }
  return Lines::open(path, options.delimiter);
}

// No more workers than places to put them: the jobs beyond that share workers.
Division divide(const RunOptions& options) {
  // A pool with default options has one worker for each place.
  const auto places = static_cast<unsigned>(describe_topology(options.placement).workers.size());
  Division division;
  division.jobs = options.jobs != 0 ? options.jobs : places;
  division.workers = std::min(division.jobs, places);
  division.jobs_each = (division.jobs + division.workers - 1) / division.workers;
  return division;
}

struct Outcome {
  int status = 255;
  bool output_was_closed = false;
};

Outcome run(const RunOptions& options) {
  // Whatever can be refused is refused before the first job, and before there is a pool.
  std::unique_ptr<InputSource> source = open_source(options);
  const Division division = divide(options);
  std::optional<JobLog> log;
  if (options.job_log) log.emplace(*options.job_log);
  Runner runner(options, division, std::move(source), std::move(log));
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
