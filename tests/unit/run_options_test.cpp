#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "tools/pinion/errors.hpp"
#include "tools/pinion/options.hpp"

using namespace pinion::command;

namespace {

using Words = std::vector<std::string>;

RunOptions run_options(const Words& arguments) { return parse_run(arguments).options; }

}  // namespace

TEST_CASE("the options end at the command, whose options are its own") {
  const RunOptions options =
      run_options({"-j2", "-k", "ls", "-l", "-j", "--", "{}", ":::", "-a", "b", ":::", "c"});
  CHECK(options.jobs.resolve(7) == 2);
  CHECK(options.keep_order);
  CHECK_FALSE(options.bar);
  CHECK(options.command == Words{"ls", "-l", "-j", "--", "{}"});
  REQUIRE(options.sources.size() == 2);
  CHECK(options.sources[0].words == Words{"-a", "b"});
  CHECK(options.sources[1].words == Words{"c"});
}

TEST_CASE("commands may be called as subcommands and as options are") {
  CHECK(run_options({"topo", "run"}).command == Words{"topo", "run"});
  CHECK(run_options({"-k", "--", "-x", "y"}).command == Words{"-x", "y"});
  CHECK(run_options({":::", "echo a", "echo b"}).command.empty());
}

TEST_CASE("the number of jobs may be said in relation to the cores") {
  const auto jobs = [](const Words& arguments) { return run_options(arguments).jobs.resolve(8); };
  CHECK(jobs({"-j", "50%", "true"}) == 4);
  CHECK(jobs({"-j200%", "true"}) == 16);
  CHECK(jobs({"-j1%", "true"}) == 1);
  CHECK(jobs({"-j", "+2", "true"}) == 10);
  CHECK(jobs({"-j", "-2", "true"}) == 6);
  CHECK(jobs({"-j-2", "true"}) == 6);
  CHECK(jobs({"--jobs=-8", "true"}) == 1);
  CHECK(jobs({"-P", "+65536", "true"}) == 65'536);
  CHECK(run_options({"-j", "-2", "ls", "-j", "-2"}).command == Words{"ls", "-j", "-2"});
}

TEST_CASE("sources come from files and from words, in their order") {
  const RunOptions options =
      run_options({"-a", "x", "-a", "y", "cat", "::::", "b", "c", ":::", "d", "e", "::::", "-"});
  CHECK(options.command == Words{"cat"});
  Words found;
  for (const SourceOption& source : options.sources) {
    found.push_back(source.is_file ? source.file : source.words.at(0) + "+" + source.words.at(1));
  }
  CHECK(found == Words{"x", "y", "b", "c", "d+e", "-"});
}

TEST_CASE("options about the job's surroundings are understood") {
  const RunOptions options = run_options({"--tag", "--wd", "dir{}", "--env", "a,b", "--env", "c",
                                          "-q", "--dry-run", "-C", ",", "-n3", "true", "--tag"});
  CHECK(options.tag == "{}");
  CHECK(options.working_directory == "dir{}");
  CHECK(options.environment == Words{"a", "b", "c"});
  CHECK(options.quote);
  CHECK(options.dry_run);
  CHECK(options.column_separator == ",");
  CHECK(options.items_per_job == 3);
  CHECK(options.command == Words{"true", "--tag"});
  CHECK(run_options({"--tagstring", "a{}", "--tag", "true"}).tag == "a{}");
  CHECK(run_options({"--wd", "a", "--wd", "b", "true"}).working_directory == "b");
}

TEST_CASE("options about failures and time are understood") {
  const RunOptions options =
      run_options({"--retries", "3", "--timeout", "5m", "--delay", "0.5", "--halt", "-2",
                   "--term-seq", "INT,100,KILL", "--lb", "true", "--halt"});
  CHECK(options.tries == 3);
  REQUIRE(options.time_limit.has_value());
  CHECK(options.time_limit->fixed == std::chrono::minutes(5));
  CHECK(options.delay == std::chrono::milliseconds(500));
  REQUIRE(options.halt.has_value());
  CHECK(options.halt->when == HaltOption::When::now);
  CHECK(options.halt->why == HaltOption::Why::success);
  CHECK(options.term_sequence.size() == 2);
  CHECK(options.line_buffer);
  CHECK(options.command == Words{"true", "--halt"});
  CHECK(run_options({}).tries == 1);
  CHECK(run_options({}).term_sequence.size() == 4);
  CHECK_FALSE(run_options({"--halt", "never", "true"}).halt.has_value());
  CHECK_THROWS_AS(run_options({"--retries", "x", "true"}), UsageError);
  CHECK_THROWS_AS(run_options({"--delay", "x", "true"}), UsageError);
  CHECK_THROWS_AS(run_options({"--timeout", "0", "true"}), UsageError);
  CHECK_THROWS_AS(run_options({"--halt", "now", "true"}), UsageError);
}

TEST_CASE("a run is resumed from a log that is a file") {
  const auto mode = [](const char* option) {
    return run_options({option, "--joblog", "log", "true"}).resume;
  };
  CHECK(mode("--resume") == ResumeMode::unfinished);
  CHECK(mode("--resume-failed") == ResumeMode::failed);
  CHECK(mode("--retry-failed") == ResumeMode::only_failed);
  CHECK(mode("-k") == ResumeMode::none);
  CHECK_THROWS_AS(run_options({"--resume", "true"}), UsageError);
  CHECK_THROWS_AS(run_options({"--resume", "--joblog", "-", "true"}), UsageError);
  CHECK(run_options({"--results", "dir", "true"}).results == "dir");
}

TEST_CASE("cores and statistics are understood") {
  const RunOptions options = run_options({"--cpus", "4", "--stats", "file", "true"});
  CHECK(options.cpus_per_job == 4);
  CHECK(options.stats == "file");
  CHECK(run_options({}).cpus_per_job == 0);
  for (const char* wrong : {"0", "-1", "x", "9999", ""}) {
    CHECK_THROWS_AS(run_options({"--cpus", wrong, "true"}), UsageError);
  }
}

TEST_CASE("every option is understood") {
  const RunOptions options = run_options({"--jobs", "65536", "--joblog", "log", "--bar", "--places",
                                          "0-1", "-a", "file", "-0", "true"});
  CHECK(options.jobs.resolve(7) == 65'536);
  CHECK(options.job_log == "log");
  CHECK(options.bar);
  CHECK(options.placement.places() == "0-1");
  REQUIRE(options.sources.size() == 1);
  CHECK(options.sources.front().is_file);
  CHECK(options.sources.front().file == "file");
  CHECK(options.delimiter == '\0');
  CHECK(run_options({"--places", "none"}).placement.is_none());
  CHECK(run_options({"--bind", "spread"}).placement.bind() == pinion::Bind::spread);
  CHECK(run_options({"--places", "0-1", "--bind", "primary"}).placement.bind() ==
        pinion::Bind::primary);
  CHECK(run_options({}).jobs.resolve(7) == 7);
}

TEST_CASE("bad usage is refused with its reason") {
  CHECK_THROWS_AS(run_options({"-j", "0", "true"}), UsageError);
  CHECK_THROWS_WITH_AS(run_options({"-j", "x", "true"}),
                       "-j wants a number of jobs from 1 to 65536, not 'x'", UsageError);
  CHECK_THROWS_AS(run_options({"-j", "+", "true"}), UsageError);
  CHECK_THROWS_AS(run_options({"-j", "0%", "true"}), UsageError);
  CHECK_THROWS_AS(run_options({"-n", "x", "true"}), UsageError);
  CHECK_THROWS_AS(run_options({"-j", "2x", "true"}), UsageError);
  CHECK_THROWS_WITH_AS(run_options({"-j", "65537", "true"}),
                       "-j 65537: at most 65536 jobs run at once", UsageError);
  CHECK_THROWS_AS(run_options({"-j", "99999999999999999999", "true"}), UsageError);
  CHECK_THROWS_WITH_AS(run_options({"--unknown", "true"}), "there is no option --unknown",
                       UsageError);
  CHECK_THROWS_WITH_AS(run_options({"--bind", "far", "true"}),
                       "--bind wants close, spread or primary, not 'far'", UsageError);
  CHECK_THROWS_AS(run_options({"-a"}), UsageError);
  CHECK_THROWS_AS(run_options({"true", "::::"}), UsageError);
  CHECK_THROWS_AS(run_options({"true", "::::+"}), UsageError);
  CHECK_THROWS_AS((void)parse_topo({"extra"}), UsageError);
  CHECK_THROWS_AS((void)parse_topo({"-j", "50%"}), UsageError);
}

TEST_CASE("sources are linked with the one before them") {
  const RunOptions options =
      run_options({"-a", "file", "echo", ":::+", "a", "b", ":::", "c", "::::+", "d", "e", ":::+"});
  std::string links;
  for (const SourceOption& source : options.sources) links += source.is_linked ? '+' : '.';
  CHECK(links == ".+.+++");
  CHECK(options.sources[1].words == Words{"a", "b"});
  CHECK(options.sources[4].file == "e");
  CHECK(options.sources[5].words.empty());
  // There is none before it.
  CHECK_FALSE(run_options({"echo", ":::+", "a"}).sources.front().is_linked);
}

TEST_CASE("the rows of a table are whole jobs") {
  CHECK_FALSE(run_options({"--lb", "--results", "t.csv", "echo"}).line_buffer);
  CHECK(run_options({"--lb", "--results", "t.dir", "echo"}).line_buffer);
}

TEST_CASE("help is a text that fits a screen") {
  for (const auto& help : {parse_run({"--help"}).help, parse_topo({"-h"}).help}) {
    REQUIRE(help.has_value());
    std::size_t lines = 0, columns = 0;
    for (std::size_t at = 0, end = 0; (end = help->find('\n', at)) != std::string::npos;
         at = end + 1) {
      ++lines;
      columns = std::max(columns, end - at);
    }
    CHECK(lines <= 24);
    CHECK(columns <= 80);
  }
}
