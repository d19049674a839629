#include <doctest/doctest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/seed.hpp"
#include "tools/pinion/errors.hpp"
#include "tools/pinion/halt_rule.hpp"
#include "tools/pinion/lost_job.hpp"
#include "tools/pinion/term_sequence.hpp"
#include "tools/pinion/terminator.hpp"
#include "tools/pinion/time_limit.hpp"

using namespace pinion::command;
using namespace std::chrono_literals;

namespace {

// What a shell would say of the last job that the rule has let end; -1: it never gave up.
struct Run {
  int ended_after = -1;
  int exit_status = -1;
};
Run run(const std::string& text, const std::vector<int>& statuses, bool total_known = true) {
  const auto option = parse_halt(text);
  REQUIRE(option.has_value());
  HaltRule rule(*option);
  Run result;
  Tally tally;
  if (total_known) tally.total = statuses.size();
  for (const int status : statuses) {
    ++tally.done;
    if (status != 0) ++tally.failed;
    if (rule.is_met(tally, status)) {
      CHECK(result.ended_after == -1);
      result.ended_after = static_cast<int>(tally.done);
    }
  }
  result.exit_status = rule.exit_status(tally);
  return result;
}

pid_t start_group(void (*body)()) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::setpgid(0, 0);
    for (const int signal : {SIGTERM, SIGINT})
      ::signal(signal, SIG_DFL);  // the test's own are loud
    body();
    [[maybe_unused]] const ssize_t count = ::write(ends[1], "", 1);
    while (true) ::pause();
  }
  char ready = 0;
  REQUIRE(::read(ends[0], &ready, 1) == 1);
  ::close(ends[0]);
  ::close(ends[1]);
  return pid;
}

// Drives the terminator until the process has ended; returns what ended it.
int drive(Terminator& terminator, pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    terminator.signal_due();
    std::this_thread::sleep_for(1ms);
  }
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

TEST_CASE("durations have units, which add up") {
  CHECK(parse_duration("5") == 5s);
  CHECK(parse_duration("0.25") == 250ms);
  CHECK(parse_duration(".5s") == 500ms);
  CHECK(parse_duration("1.5m") == 90s);
  CHECK(parse_duration("1h30m") == 90min);
  CHECK(parse_duration("1d2H3M4S") == 24h + 2h + 3min + 4s);
  CHECK(parse_duration("1m30") == 90s);
  CHECK(parse_duration("0") == 0s);
  for (const char* wrong :
       {"", "x", "5x", "-1", "m", "1e400", "1e9d", "inf", "nan", "5 m", "1m-1"}) {
    CAPTURE(std::string(wrong));
    CHECK_FALSE(parse_duration(wrong).has_value());
  }
}

TEST_CASE("a time limit is a time, or a percentage of the median") {
  CHECK(TimeLimit(parse_time_limit("5m")).now() == 5min);
  TimeLimit limit(parse_time_limit("300%"));
  CHECK(limit.now() == std::nullopt);
  limit.add(2);
  CHECK(limit.now() == 6s);
  limit.add(10);
  limit.add(1);
  CHECK(limit.now() == 6s);
  for (const char* wrong : {"", "0", "0%", "%", "x%", "-5", "300%%", "1m%"}) {
    CAPTURE(std::string(wrong));
    CHECK_THROWS_AS((void)parse_time_limit(wrong), UsageError);
  }
}

TEST_CASE("the running median is that of a sorted list") {
  std::mt19937_64 random = checks::seeded();
  RunningMedian median;
  std::vector<double> all;
  CHECK(median.value() == std::nullopt);
  for (int i = 0; i < 1000; ++i) {
    all.push_back(static_cast<double>(random() % 100));
    median.add(all.back());
    std::sort(all.begin(), all.end());
    REQUIRE(median.value() == all[(all.size() - 1) / 2]);
  }
}

TEST_CASE("signals are named or numbered, and have times between them") {
  const TermSequence steps = parse_term_sequence("INT,100,SIGTERM,0,9,25");
  REQUIRE(steps.size() == 3);
  CHECK((steps[0].signal == SIGINT && steps[0].wait == 100ms));
  CHECK((steps[1].signal == SIGTERM && steps[1].wait == 0ms));
  CHECK((steps[2].signal == SIGKILL && steps[2].wait == 25ms));
  CHECK(parse_term_sequence("USR1").size() == 1);
  CHECK(parse_term_sequence(default_term_sequence).back().signal == SIGKILL);
  for (const char* wrong :
       {"", "NOSUCH,1", "TERM,x", "TERM,,KILL", "0,1", "65", "TERM,100,", "-9"}) {
    CAPTURE(std::string(wrong));
    CHECK_THROWS_AS((void)parse_term_sequence(wrong), UsageError);
  }
}

TEST_CASE("a run is given up at a number of jobs, and has the exit status of GNU parallel") {
  CHECK(run("soon,fail=1", {0, 5, 0, 3}).ended_after == 2);
  CHECK(run("soon,fail=1", {0, 5, 0, 3}).exit_status == 5);
  CHECK(run("now,fail=1", {137}).exit_status == 137);
  CHECK(run("now,fail=2", {4, 0, 2}).ended_after == 3);
  CHECK(run("now,fail=2", {4, 0, 2}).exit_status == 2);
  CHECK(run("now,fail=2", {4, 0}).ended_after == -1);
  CHECK(run("now,fail=2", {4, 0}).exit_status == 1);
  CHECK(run("now,success=1", {4, 0, 2}).ended_after == 2);
  CHECK(run("now,success=1", {4, 0, 2}).exit_status == 0);
  CHECK(run("now,success=3", {4, 0}).exit_status == 1);
  CHECK(run("soon,done=1", {4, 0}).exit_status == 4);
  CHECK(run("soon,done=2", {4, 0, 1}).ended_after == 2);
  CHECK(run("soon,done=2", {4, 0, 1}).exit_status == 1);
}

TEST_CASE("a run is given up at a percentage of all jobs, where their number is known") {
  CHECK(run("soon,fail=50%", {4, 0, 2, 1, 0, 0}).ended_after == 4);
  CHECK(run("soon,fail=50%", {4, 0, 2, 1, 0, 0}).exit_status == 50);
  CHECK(run("soon,success=50%", {0, 1, 0, 0}).ended_after == 3);
  CHECK(run("now,done=100%", {0, 0}).ended_after == 2);
  CHECK(run("34%", {1, 0, 1}).ended_after == 3);
  CHECK(run("34%", {1, 0, 1}).exit_status == 67);
  CHECK(run("soon,fail=1%", {1, 0}, false).ended_after == -1);
  CHECK(run("soon,fail=1%", {1, 0}, false).exit_status == 50);
}

TEST_CASE("the short forms of GNU parallel, and what is none") {
  CHECK_FALSE(parse_halt("never").has_value());
  CHECK_FALSE(parse_halt("0").has_value());
  using When = HaltOption::When;
  using Why = HaltOption::Why;
  const auto is = [](const char* text, When when, Why why) {
    const auto option = parse_halt(text);
    return option && option->when == when && option->why == why && option->count == 1;
  };
  CHECK(is("1", When::soon, Why::fail));
  CHECK(is("2", When::now, Why::fail));
  CHECK(is("-1", When::soon, Why::success));
  CHECK(is("-2", When::now, Why::success));
  for (const char* wrong : {"", "3", "soon", "soon,fail", "soon,fail=", "soon,fail=0", "now,x=1",
                            "later,fail=1", "now,fail=1x", "now,fail=101%", "now,fail=-1", "%"}) {
    CAPTURE(std::string(wrong));
    CHECK_THROWS_AS((void)parse_halt(wrong), UsageError);
  }
}

TEST_CASE("a job that heeds the first signal gets no other") {
  JobBoard board(2);
  Terminator terminator(board, parse_term_sequence("TERM,60000,KILL,25"));
  const pid_t pid = start_group([] {});
  REQUIRE(board.publish(1, pid));
  CHECK_FALSE(board.is_condemned(1));
  terminator.begin(1);
  CHECK(board.is_condemned(1));
  CHECK(drive(terminator, pid) == SIGTERM);
  CHECK(terminator.end(1) == SIGTERM);
  CHECK(terminator.next() == Terminator::Clock::time_point::max());
}

TEST_CASE("a job that heeds none is killed, also where the sequence does not say so") {
  for (const char* sequence : {"TERM,5,INT,5,KILL,25", "TERM,5,INT,5"}) {
    JobBoard board(1);
    Terminator terminator(board, parse_term_sequence(sequence));
    const pid_t pid = start_group([] {
      ::signal(SIGTERM, SIG_IGN);
      ::signal(SIGINT, SIG_IGN);
    });
    REQUIRE(board.publish(0, pid));
    terminator.begin(0);
    CHECK(drive(terminator, pid) == SIGKILL);
    CHECK(terminator.end(0) == SIGKILL);
  }
}

TEST_CASE("a job whose process is not known yet is ended when it is") {
  JobBoard board(1);
  Terminator terminator(board, parse_term_sequence("TERM,60000"));
  terminator.begin(0);
  const pid_t pid = start_group([] {});
  REQUIRE(board.publish(0, pid));
  CHECK(drive(terminator, pid) == SIGTERM);
}

TEST_CASE("a group lives as long as one of its processes runs") {
  const pid_t leader = start_group([] {
    const pid_t child = ::fork();
    if (child == 0) {
      while (true) ::pause();
    }
  });
  CHECK(group_is_alive(leader));
  REQUIRE(::kill(leader, SIGKILL) == 0);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(leader), &info, WEXITED | WNOWAIT) == 0);
  CHECK(group_is_alive(leader));  // the child is
  REQUIRE(::kill(-leader, SIGKILL) == 0);
  for (int i = 0; i < 1000 && group_is_alive(leader); ++i) std::this_thread::sleep_for(5ms);
  CHECK_FALSE(group_is_alive(leader));  // although the leader was not reaped
  CHECK(::waitpid(leader, nullptr, 0) == leader);
}
