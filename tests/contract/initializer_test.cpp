// What each worker runs first: that it is seen, comes again, and what its failures say.
#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::StartError;

namespace {

struct State {
  int number = 0;
  std::string text;
  std::vector<double> table;
  int runs = 0;
  pid_t pid = 0;
};
State state;

void prepare(int number, const std::string& text, const std::vector<double>& table) {
  state = {number, text, table, state.runs + 1, ::getpid()};
}
std::string seen() {
  return std::to_string(state.number) + state.text + std::to_string(state.table.size()) + "/" +
         std::to_string(state.runs) + (state.pid == ::getpid() ? " here" : " elsewhere");
}
void die() { ::raise(SIGKILL); }

/// The text of the StartError that making a pool of two throws.
std::string start_error(pinion::RemoteCall initializer, pinion::TimeLimit limit = 60s) {
  try {
    CheckedPool pool(
        PoolOptions{.processes = 2, .initializer = std::move(initializer), .start_limit = limit});
  } catch (const StartError& error) {
    return error.what();
  }
  return "no error";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("what the initializer set is seen by every task, and it ran once in each worker") {
  if (left_out("its variables are those of all workers")) return;
  NothingLeft nothing;
  const std::vector<double> table(10000, 0.5);
  CheckedPool pool(
      PoolOptions{.processes = 2, .initializer = pinion::call(prepare, 7, "seven", table)});
  std::vector<pinion::AsyncResult<std::string>> results;
  for (int i = 0; i < 200; ++i) results.push_back(pool.apply_async(seen));
  for (const auto& result : results) REQUIRE(result.get() == "7seven10000/1 here");
  CHECK(state.number == 0);  // in this process nothing ran
}

TEST_CASE("the successor of a killed worker is initialised too") {
  if (left_out("a task ends its process")) return;
  NothingLeft nothing;
  CheckedPool pool(PoolOptions{
      .processes = 2, .initializer = pinion::call(prepare, 8, "eight", std::vector<double>(3))});
  for (int round = 0; round < 20; ++round) {
    CHECK_THROWS_AS(pool.apply(die), pinion::WorkerLost);
    for (int i = 0; i < 4; ++i) REQUIRE(pool.apply(seen) == "8eight3/1 here");
  }
  CHECK(pool.stats().deaths == 20);
}

TEST_CASE("an initializer may be a lambda with captures, and know its worker") {
  if (left_out("its variables are those of all workers")) return;
  static unsigned index = 99;
  static std::vector<unsigned> cpus;
  int captured = 5;
  CheckedPool pool(PoolOptions{.processes = 2,
                               .initializer = pinion::call(
                                   [captured](int x) {
                                     index =
                                         pinion::this_worker::index() + 10U * unsigned(captured);
                                     cpus = pinion::this_worker::cpus();
                                     return x;  // dropped
                                   },
                                   3)});
  for (int i = 0; i < 20; ++i) {
    CHECK(pool.apply([] { return index == 50 + pinion::this_worker::index(); }));
    CHECK(pool.apply([] { return cpus == pinion::this_worker::cpus(); }));
  }
}

TEST_CASE(
    "a throwing initializer is a StartError with its text, and nothing is left (edge case 40)") {
  for (int round = 0; round < 5; ++round) {
    NothingLeft nothing;
    CHECK(holds(start_error(pinion::call([] { throw std::runtime_error("no licence for 7"); })),
                "no licence for 7"));
    CHECK(holds(start_error(pinion::call([](const std::string& s) { throw std::out_of_range(s); },
                                         std::string(3000, 'q'))),
                std::string(3000, 'q')));
  }
  NothingLeft nothing;
  CHECK(holds(start_error(pinion::call([] { throw 42; })), "int"));
}

TEST_CASE("one initializer that throws among good ones ends construction") {
  for (int round = 0; round < 5; ++round) {
    NothingLeft nothing;
    const auto fails_in_1 = [] {
      if (pinion::this_worker::index() == 1) throw std::runtime_error("only here");
    };
    CHECK(holds(start_error(pinion::call(fails_in_1)), "only here"));
  }
}

TEST_CASE("an initializer that dies is a StartError that says so (edge case 40)") {
  if (left_out("it ends its process")) return;
  NothingLeft nothing;
  const auto killed = start_error(pinion::call(die));
  CAPTURE(killed);
  CHECK((holds(killed, "SIGKILL") || holds(killed, "signal 9")));
  const auto left = start_error(pinion::call([] { ::_exit(3); }));
  CAPTURE(left);
  CHECK(holds(left, "exit code 3"));
  const auto aborted = start_error(pinion::call([] { std::abort(); }));
  CAPTURE(aborted);
  CHECK((holds(aborted, "SIGABRT") || holds(aborted, "signal 6")));
  for (const std::string& text : {killed, left, aborted}) {
    CHECK(holds(text, "worker "));
    CHECK(holds(text, "died in its initializer, before it was ready"));
  }
}

TEST_CASE("an initializer that hangs ends construction at the start limit (edge case 40)") {
  if (left_out("it goes on")) return;
  NothingLeft nothing;
  const auto begin = Clock::now();
  const auto hung = start_error(pinion::call([] { std::this_thread::sleep_for(100s); }), 200ms);
  const auto took = Clock::now() - begin;
  CAPTURE(hung);
  CHECK(holds(hung, "start_limit"));
  CHECK(holds(hung, "its initializer still ran"));
  CHECK(took >= 190ms);
  CHECK(took < 1500ms);
}

TEST_CASE("an initializer that ignores every signal it can is ended too") {
  if (left_out("it goes on")) return;
  NothingLeft nothing;
  const auto stubborn = [] {
    for (int s = 1; s < 32; ++s) std::signal(s, SIG_IGN);
    for (;;) ::pause();
  };
  const auto begin = Clock::now();
  CHECK(holds(start_error(pinion::call(stubborn), 200ms), "start_limit"));
  CHECK(Clock::now() - begin < 1500ms);
}

TEST_CASE("a successor whose initializer fails does not take the pool's other worker with it") {
  if (left_out("a task ends its process")) return;
  NothingLeft nothing;
  const auto only_first = [] {
    if (pinion::this_worker::generation() > 1) throw std::runtime_error("second time");
  };
  CheckedPool pool(PoolOptions{.processes = 2, .initializer = pinion::call(only_first)});
  CHECK_THROWS_AS(pool.apply(die), pinion::WorkerLost);
  // At most one worker is left, and then none: whatever is submitted ends.
  for (int i = 0; i < 20; ++i) {
    const auto error = error_of([&] { CHECK(pool.apply([] { return 5; }) == 5); });
    CHECK(error.empty());
  }
  CHECK(error_of([&] { pool.apply(die); }) != "");
  bool ended = false;
  const auto error = error_of([&] {
    const auto result = pool.apply_async([] { return 5; });
    ended = result.wait(10s);
    if (ended) result.get();
  });
  CAPTURE(error);
  CHECK(error != "");
  pool.terminate();
}

TEST_CASE("an initializer may print, allocate and start threads that it joins") {
  CheckedPool pool(PoolOptions{.processes = 2, .initializer = pinion::call([] {
                                                 std::thread([] { state.number = 77; }).join();
                                               })});
  CHECK(pool.apply([] { return state.number; }) == 77);
}

TEST_CASE("a captured pointer into the caller's stack is refused when the call is kept") {
  int local = 3;
  const int* there = &local;
  CHECK_THROWS_AS(pinion::call([there] { state.number = *there; }), pinion::EncodingError);
}
