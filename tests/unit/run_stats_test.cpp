#include <doctest/doctest.h>

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "tools/pinion/cpu_places.hpp"
#include "tools/pinion/errors.hpp"
#include "tools/pinion/job_environment.hpp"
#include "tools/pinion/oom_watch.hpp"
#include "tools/pinion/stats_log.hpp"

using namespace pinion::command;

namespace {

std::string variable(const char* name) {
  const char* value = ::getenv(name);
  return value != nullptr ? value : "(unset)";
}

constexpr const char* thread_variables[] = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                                            "MKL_NUM_THREADS", "BLIS_NUM_THREADS"};

}  // namespace

TEST_CASE("texts become JSON strings") {
  CHECK(json_string("a b") == "\"a b\"");
  CHECK(json_string("\"\\/") == "\"\\\"\\\\/\"");
  CHECK(json_string(std::string_view("a\0\n\t\x1b\x7f", 6)) ==
        "\"a\\u0000\\u000a\\u0009\\u001b\\u007f\"");
  CHECK(json_string("\xc3\xa9\xf0\x9f\x98\x80") == "\"\xc3\xa9\xf0\x9f\x98\x80\"");
  CHECK(json_string("\xff\xc3") == "\"\\ufffd\\ufffd\"");
}

TEST_CASE("an attempt is one line") {
  JobResult result;
  result.start_time = 12.5;
  result.run_time = 0.25;
  result.signal = 9;
  result.worker = 3;
  result.usage = {.user = 1.5, .system = 0.5, .max_rss_kib = 2048, .cpus = {4, 5}, .bound = true};
  CHECK(stats_line({.sequence = 7,
                    .attempt = 2,
                    .command = "echo \"a\"",
                    .result = result,
                    .timed_out = false,
                    .out_of_memory = true}) ==
        "{\"seq\":7,\"attempt\":2,\"command\":\"echo \\\"a\\\"\",\"start\":12.500,"
        "\"wall\":0.250000,\"user\":1.500000,\"system\":0.500000,\"max_rss_kib\":2048,"
        "\"cpus\":[4,5],\"bound\":true,\"worker\":3,\"exit\":0,\"signal\":9,\"timed_out\":false,"
        "\"oom\":true}\n");
}

TEST_CASE("statistics that cannot be written are refused at once, or when they are") {
  CHECK_THROWS_AS(StatsLog("/no/such/folder/stats", false), WriteError);
  StatsLog full("/dev/full", false);
  const JobResult result;
  full.add({.command = "x", .result = result});
  CHECK_THROWS_WITH_AS(
      full.flush(), "cannot write the statistics /dev/full: No space left on device", WriteError);
}

TEST_CASE("lists of CPUs are written out, and neighbouring places joined") {
  CHECK(without_ranges("0") == "0");
  CHECK(without_ranges("0-3,8,10-11") == "0,1,2,3,8,10,11");
  CHECK(without_ranges("").empty());
  const std::vector<std::string> places{"0,8", "1,9", "2,10", "3,11", "4,12"};
  CHECK(group_places(places, 1).places() == "{0,8},{1,9},{2,10},{3,11},{4,12}");
  CHECK(group_places(places, 2).places() == "{0,8,1,9},{2,10,3,11}");
  CHECK(group_places(places, 5).places() == "{0,8,1,9,2,10,3,11,4,12}");
  CHECK_THROWS_AS((void)group_places(places, 6), UsageError);
  CHECK(group_places({"", ""}, 2).is_none());
}

TEST_CASE("the places of this machine are those that a pool would take") {
  const std::vector<std::string> places = cpu_places({});
  REQUIRE_FALSE(places.empty());
  CHECK(cpu_places(pinion::Placement("{0}")) == std::vector<std::string>{"0"});
  CHECK(cpu_places(group_places({"0"}, 1)) == std::vector<std::string>{"0"});
  CHECK_THROWS((void)cpu_places(pinion::Placement("{nonsense")));
}

TEST_CASE("the CPUs of a process are those that it may run on") {
  cpu_set_t set;
  REQUIRE(::sched_getaffinity(0, sizeof set, &set) == 0);
  const std::vector<unsigned> cpus = cpus_of(::getpid());
  CHECK(cpus.size() == static_cast<std::size_t>(CPU_COUNT(&set)));
  for (const unsigned cpu : cpus) CHECK(CPU_ISSET(cpu, &set));
  CHECK(cpus_of(0x7fffffff).empty());
}

TEST_CASE("the number of threads is set where nobody has said it") {
  for (const char* name : thread_variables) ::unsetenv(name);
  ::setenv("MKL_NUM_THREADS", "7", 1);
  set_thread_variables(3);
  CHECK(variable("OMP_NUM_THREADS") == "3");
  CHECK(variable("OPENBLAS_NUM_THREADS") == "3");
  CHECK(variable("MKL_NUM_THREADS") == "7");
  for (const char* name : thread_variables) ::unsetenv(name);
  ::setenv("OMP_NUM_THREADS", "5", 1);
  set_thread_variables(3);
  CHECK(variable("OMP_NUM_THREADS") == "5");
  CHECK(variable("OPENBLAS_NUM_THREADS") == "(unset)");
}

TEST_CASE("the variables of a job change in place") {
  set_job_variables(1, 2);
  CHECK(variable("PARALLEL_SEQ") == "1");
  CHECK(variable("PARALLEL_JOBSLOT") == "2");
  set_job_variables(18446744073709551615ULL, 4294967295U);
  CHECK(variable("PARALLEL_SEQ") == "18446744073709551615");
  CHECK(variable("PARALLEL_JOBSLOT") == "4294967295");
  set_job_variables(3, 4);
  CHECK(variable("PARALLEL_SEQ") == "3");
}

TEST_CASE("slots are the lowest that are free") {
  LocalSlots slots;
  CHECK(slots.take() == 0);
  CHECK(slots.take() == 1);
  CHECK(slots.take() == 2);
  slots.give_back(1);
  CHECK(slots.take() == 1);
  CHECK(slots.take() == 3);
}

TEST_CASE("counters are found by their names") {
  char name[] = "/tmp/pinion-test-XXXXXX";
  REQUIRE(::close(::mkstemp(name)) == 0);
  std::ofstream(name) << "oom_kill_disable 0\nunder_oom 0\noom_kill 12\n";
  CHECK(number_in(name, "oom_kill") == 12);
  CHECK(number_in(name, "oom") == 0);
  CHECK(number_in("/no/such/file", "oom_kill") == 0);
  ::unlink(name);
  CHECK_FALSE(OomWatch().has_killed());
}
