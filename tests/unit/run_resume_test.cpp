#include <doctest/doctest.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tools/pinion/errors.hpp"
#include "tools/pinion/job_history.hpp"
#include "tools/pinion/job_log.hpp"
#include "tools/pinion/job_name.hpp"
#include "tools/pinion/job_planner.hpp"
#include "tools/pinion/results.hpp"

using namespace pinion::command;

namespace {

using Words = std::vector<std::string>;

struct Folder {
  Folder() {
    char name[] = "/tmp/pinion-test-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { REQUIRE(std::system(("rm -r " + path).c_str()) == 0); }

  std::string path;
};

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string line(std::uint64_t sequence, std::string_view command, int exit_value = 0,
                 int signal = 0, std::string_view mark = {}) {
  return job_log_line({.sequence = sequence,
                       .start_time = 1,
                       .exit_value = exit_value,
                       .signal = signal,
                       .command = command,
                       .mark = mark});
}

class Log {
 public:
  explicit Log(const std::string& text) { std::ofstream(path()) << text; }
  [[nodiscard]] std::string path() const { return folder_.path + "/log"; }
  [[nodiscard]] JobHistory read(ResumeMode mode = ResumeMode::unfinished) const {
    return JobHistory(path(), mode);
  }

 private:
  Folder folder_;
};

JobName name_of(const std::string& command) { return job_name(logged_command(command)); }

PlannedJob plan(RunOptions options, const Words& arguments, std::uint64_t sequence = 1,
                unsigned slot = 1) {
  options.job_log = "log";
  options.resume = ResumeMode::unfinished;
  return JobPlanner(options).plan({arguments, sequence, slot});
}

}  // namespace

TEST_CASE("a job is known by its command, and not by its number") {
  const Log log(job_log_header() + line(1, "echo a") + line(2, "echo b", 3) +
                line(3, "two\nlines"));
  JobHistory history = log.read();
  CHECK(history.has_done(name_of("two\nlines")));
  CHECK(history.has_done(name_of("echo b")));
  CHECK(history.has_done(name_of("echo a")));
  CHECK_FALSE(history.has_done(name_of("echo c")));
  CHECK(history.whole_bytes() == text_of(log.path()).size());
}

TEST_CASE("a job that comes twice was done as often as the log says") {
  const Log log(job_log_header() + line(1, "x") + line(2, "x") + line(2, "x"));
  JobHistory history = log.read();
  CHECK(history.has_done(name_of("x")));
  CHECK(history.has_done(name_of("x")));
  CHECK_FALSE(history.has_done(name_of("x")));
}

TEST_CASE("jobs that have failed are run again where that is wanted; the last try counts") {
  const std::string text = job_log_header() + line(1, "ok") + line(2, "bad", 1) +
                           line(3, "killed", 0, 9) + line(4, "better", 1) + line(4, "better");
  const Log log(text);
  JobHistory failed = log.read(ResumeMode::failed);
  CHECK(failed.has_done(name_of("ok")));
  CHECK(failed.has_done(name_of("better")));
  CHECK_FALSE(failed.has_done(name_of("bad")));
  CHECK_FALSE(failed.has_done(name_of("killed")));
  JobHistory any = log.read(ResumeMode::unfinished);
  CHECK(any.has_done(name_of("bad")));
  CHECK(any.has_done(name_of("killed")));
  JobHistory only = log.read(ResumeMode::only_failed);
  FailedJobs jobs(only.take_failed());
  CHECK(jobs.total() == 2);
  Words arguments;
  CHECK(jobs.next(arguments) == InputSource::Next::item);
  CHECK(arguments == Words{"bad"});
  CHECK(jobs.logged()->sequence == 2);
  CHECK(jobs.next(arguments) == InputSource::Next::item);
  CHECK(arguments == Words{"killed"});
  CHECK(jobs.next(arguments) == InputSource::Next::end);
}

TEST_CASE("a job that was killed together with the run was not done") {
  const Log log(job_log_header() + line(1, "x", exit_value_of_killed_run, 9));
  CHECK_FALSE(log.read().has_done(name_of("x")));
  CHECK(log.read(ResumeMode::only_failed).take_failed().size() == 1);
}

TEST_CASE("a log that was cut at any byte says exactly what its whole lines say") {
  const std::string text = job_log_header() + line(1, "echo a") + line(2, "echo b\nc") +
                           line(12, "echo\ta", 0, 0, name_mark(job_name("whole job")));
  for (std::size_t length = 0; length <= text.size(); ++length) {
    CAPTURE(length);
    const std::string cut = text.substr(0, length);
    const Log log(cut);
    JobHistory history = log.read();
    const std::size_t whole = cut.rfind('\n') + 1;
    CHECK(history.whole_bytes() == whole);
    const std::size_t header = job_log_header().size();
    CHECK(history.has_done(name_of("echo a")) == (whole > header));
    CHECK(history.has_done(name_of("echo b\nc")) == (whole > header + line(1, "echo a").size()));
    CHECK(history.has_done(job_name("whole job")) == (whole == text.size()));
    CHECK_FALSE(history.has_done(name_of("echo\ta")));
    { JobLog log_again(log.path(), history.whole_bytes()); }
    CHECK(text_of(log.path()) == (whole == 0 ? job_log_header() : text.substr(0, whole)));
  }
}

TEST_CASE("lines that are none are ignored, and files that are no log are refused") {
  const Log damaged(job_log_header() + "x\ty\n\n" + line(1, "a") + "1\t:\t1\t1\t0\t0\tx\t0\tb\n");
  JobHistory history = damaged.read();
  CHECK(history.has_done(name_of("a")));
  CHECK_FALSE(history.has_done(name_of("b")));
  CHECK_THROWS_AS(Log("my notes\n").read(), InputError);
  CHECK_THROWS_AS(Log("my notes").read(), InputError);
  CHECK_THROWS_AS(JobHistory("/tmp", ResumeMode::unfinished), InputError);
  CHECK(Log("").read().whole_bytes() == 0);
  CHECK(JobHistory("/no/such/file", ResumeMode::unfinished).whole_bytes() == 0);
}

TEST_CASE("a job's name is a hash of the whole job") {
  RunOptions options;
  options.command = {"echo"};
  const PlannedJob plain = plan(options, {"a"});
  CHECK(plain.name == name_of("echo a"));
  CHECK(plain.mark.empty());
  CHECK(plan(options, {"a"}, 5).name == plain.name);
  CHECK(plan(options, {"b"}).name != plain.name);

  RunOptions elsewhere = options;
  elsewhere.working_directory = "d{}";
  const PlannedJob there = plan(elsewhere, {"a"});
  CHECK(there.name != plain.name);
  CHECK(there.mark == name_mark(there.name));
  elsewhere.working_directory = "e{}";
  CHECK(plan(elsewhere, {"a"}).name != there.name);

  RunOptions with_variable = options;
  with_variable.environment = {"PINION_TEST_VALUE"};
  ::setenv("PINION_TEST_VALUE", "1", 1);
  const PlannedJob one = plan(with_variable, {"a"});
  CHECK(one.name != plain.name);
  ::setenv("PINION_TEST_VALUE", "2", 1);
  CHECK(plan(with_variable, {"a"}).name != one.name);
  ::unsetenv("PINION_TEST_VALUE");
  ::setenv("BASH_FUNC_PINION_TEST_VALUE%%", "() { echo 1; }", 1);
  const PlannedJob function = plan(with_variable, {"a"});
  CHECK(function.name != plain.name);
  ::setenv("BASH_FUNC_PINION_TEST_VALUE%%", "() { echo 2; }", 1);
  CHECK(plan(with_variable, {"a"}).name != function.name);
  ::unsetenv("BASH_FUNC_PINION_TEST_VALUE%%");

  RunOptions with_slot = options;
  with_slot.command = {"echo", "{%}"};
  CHECK(plan(with_slot, {"a"}, 1, 1).line != plan(with_slot, {"a"}, 1, 2).line);
  CHECK(plan(with_slot, {"a"}, 1, 1).name == plan(with_slot, {"a"}, 1, 2).name);
}

TEST_CASE("a mark is taken from the end of a command, and nothing else is") {
  const JobName name = job_name("x");
  std::string command = "echo a" + name_mark(name);
  CHECK(take_name_mark(command) == name);
  CHECK(command == "echo a");
  for (std::string other : {"", "echo a", "echo # pinion:", "echo a\t# pinion:zz"}) {
    const std::string before = other;
    CHECK_FALSE(take_name_mark(other).has_value());
    CHECK(other == before);
  }
}

TEST_CASE("results have a folder for each combination of arguments") {
  const Results results("res");
  const auto folder = [&results](const Words& arguments) {
    const ResultPaths paths = results.paths({arguments, 7, 1});
    CHECK(paths.err == paths.out.substr(0, paths.out.rfind('/')) + "/stderr");
    return paths.out;
  };
  CHECK(folder({"a", "b"}) == "res/1/a/2/b/stdout");
  CHECK(folder({"a/b c\\d\te"}) == "res/1/a\\_b c\\\\d\\te/stdout");
  CHECK(folder({"", "x"}) == "res/1/\\/2/x/stdout");
  CHECK(folder({"..", "."}) == "res/1/\\../2/\\./stdout");
  const std::string longest(255, 'x');
  CHECK(folder({longest}) == "res/1/" + longest + "/stdout");
  CHECK(folder({longest + "a"}).size() == folder({longest}).size());
  CHECK(folder({longest + "a"}) != folder({longest + "b"}));
  const Words arguments{"a"};
  CHECK(Results("my_{}_{#}").paths({arguments, 7, 1}).err == "my_a_7.err");
  CHECK(Results("my_{}_{#}").paths({arguments, 7, 1}).sequence == "my_a_7.seq");
  CHECK(Results("my_{}/").paths({arguments, 7, 1}).out == "my_a/stdout");
  CHECK_THROWS_AS(Results("x.json"), UsageError);
}

TEST_CASE("results are written whole, into folders that are made") {
  const Folder folder;
  const ResultPaths paths = Results(folder.path + "/new/{}/").paths({Words{"a"}, 7, 1});
  JobOutput output;
  output.out.append(std::string(100'000, 'x'));
  output.out.append("tail");
  output.err.text = "err";
  REQUIRE(output.out.file);
  for (int i = 0; i < 2; ++i) {
    write_results(paths, 7, output);
    CHECK(text_of(paths.out) == std::string(100'000, 'x') + "tail");
    CHECK(text_of(paths.err) == "err");
    CHECK(text_of(paths.sequence) == "7");
  }
  std::ofstream(folder.path + "/file") << "x";
  const ResultPaths wrong = Results(folder.path + "/file/{}").paths({Words{"a"}, 7, 1});
  CHECK_THROWS_AS(write_results(wrong, 7, output), WriteError);
}
