// Initializers that fail, at the start and later: few processes are made, little time is spent, and
// everybody is told why.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

#include "fault/manager_process.hpp"
#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::PoolTerminated;
using pinion::StartError;

namespace {

enum Mode { works, throws, aborts, leaves, hangs, one_of_two };

/// What initializers do, and how often they have begun: in all processes.
struct Page {
  std::atomic<int> mode{works};
  std::atomic<int> fail_next{0};  // so many fail, the others work
  std::atomic<int> starts{0};
  std::atomic<unsigned> random{1};
};
SharedPage<Page> page;

void fail(int mode) {
  switch (mode) {
    case throws:
      throw std::runtime_error("no licence for 7");
    case aborts:
      std::abort();
    case leaves:
      ::_exit(0);
    case hangs:
      for (;;) ::pause();
    default:
      return;
  }
}

void initialize() {
  ++page->starts;
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (page->fail_next > 0 && page->fail_next.fetch_sub(1) > 0) fail(throws);
  const int mode = page->mode;
  if (mode != one_of_two) return fail(mode);
  unsigned x = page->random.fetch_add(0x9e3779b9U);  // a hash of a counter is random enough
  x = (x ^ (x >> 16)) * 0x85ebca6bU;
  x = (x ^ (x >> 13)) * 0xc2b2ae35U;
  if ((x >> 20) % 2 == 0) fail(x >> 30 == 0 ? throws : x >> 30 == 1 ? aborts : leaves);
}

void set(Mode mode) {
  page->fail_next = 0;
  page->starts = 0;
  page->mode = mode;
}

PoolOptions two(pinion::TimeLimit start_limit = 60s) {
  return {.processes = 2, .initializer = pinion::call(initialize), .start_limit = start_limit};
}

int square(int x) { return x * x; }

void kill_all(const pinion::Pool& pool) {
  for (const pinion::WorkerInfo& worker : pool.workers()) {
    if (worker.pid != 0) ::kill(worker.pid, SIGKILL);
  }
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// How much of one core this process takes while `body` runs.
template <class Body>
double cpu_share(Body body) {
  const auto begin = Clock::now();
  const double cpu = cpu_seconds();
  body();
  return (cpu_seconds() - cpu) / std::chrono::duration<double>(Clock::now() - begin).count();
}

const char* text_of(Mode mode) {
  switch (mode) {
    case throws:
      return "no licence for 7";
    case aborts:
      return "signal 6";
    case leaves:
      return "exit code 0";
    default:
      return "initializer";
  }
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft, "at the first start nothing is tried twice") {
  for (const Mode mode : {throws, aborts, leaves, hangs}) {
    CAPTURE(int(mode));
    NothingLeft nothing;
    set(mode);
    const auto begin = Clock::now();
    const auto error = error_of([&] { CheckedPool pool(two(mode == hangs ? 300ms : 60000ms)); });
    CHECK(Clock::now() - begin < 3s);
    CAPTURE(error);
    CHECK(error.find(text_of(mode)) != error.npos);
    CHECK(page->starts <= 2);
    CHECK(page->starts >= 1);
  }
}

TEST_CASE_FIXTURE(NothingLeft,
                  "where each start fails by a toss, a pool is made whole or not at all") {
  set(one_of_two);
  page->random = static_cast<unsigned>(seed());
  int made = 0;
  int refused = 0;
  for (int round = 0; round < 40; ++round) {
    NothingLeft nothing;
    page->starts = 0;
    try {
      CheckedPool pool(two());
      ++made;
      CHECK(page->starts == 2);
      CHECK(pool.apply(square, 3) == 9);
    } catch (const StartError&) {
      ++refused;
    }
    CHECK(page->starts <= 2);
  }
  std::printf("%d pools made, %d refused\n", made, refused);
  CHECK(made > 0);
  CHECK(refused > 0);
}

TEST_CASE_FIXTURE(
    NothingLeft, "a successor that never comes up makes no storm, and harms no worker that lives") {
  for (const Mode mode : {throws, aborts, leaves, hangs}) {
    CAPTURE(int(mode));
    NothingLeft nothing;
    set(works);
    CheckedPool pool(two(mode == hangs ? 100ms : 60000ms));
    const pid_t survivor = pool.workers()[1].pid;
    set(mode);
    ::kill(pool.workers()[0].pid, SIGKILL);
    const double share = cpu_share([] { std::this_thread::sleep_for(1500ms); });
    // Pauses of 1, 2, 4 ... 64 ms, then 100 ms: 21 in that time, and fewer on a busy machine. One
    // that hangs is killed after 100 ms.
    const int starts = page->starts;
    std::printf("%d starts in 1.5 s, %.1f %% of a core\n", starts, share * 100);
    CHECK(starts <= 24);
    CHECK(starts >= 4);
    CHECK(share < 0.2);
    CHECK(pool.workers()[1].pid == survivor);
    for (int i = 0; i < 100; ++i) CHECK(pool.apply(square, i) == i * i);
    // Once it works again, a successor comes after one more pause.
    set(works);
    CHECK(eventually([&] { return pool.stats().respawns != 0; }, 3s));
    CHECK(pool.stats().respawns == 1);
    CHECK(pool.workers()[0].state == pinion::WorkerInfo::State::ready);
  }
}

TEST_CASE_FIXTURE(
    NothingLeft,
    "a pool of which no worker comes up again fails, and everything ends with the cause") {
  for (const Mode mode : {throws, leaves}) {
    CAPTURE(int(mode));
    NothingLeft nothing;
    set(works);
    CheckedPool pool(two());
    set(mode);
    kill_all(pool);
    const auto begin = Clock::now();
    std::vector<pinion::AsyncResult<int>> results;
    std::atomic<int> told{0};
    for (int i = 0; i < 50; ++i) {
      results.push_back(pool.apply_async(square, i));
      results.back().on_error([&](std::exception_ptr) { ++told; });
    }
    const auto map = pool.map_async(square, numbers(1000), 10);
    const double share = cpu_share([&] { static_cast<void>(map.wait(10s)); });
    const auto took = Clock::now() - begin;
    const int starts = page->starts;
    std::printf("failed after %.2f s and %d starts, %.1f %% of a core\n",
                std::chrono::duration<double>(took).count(), starts, share * 100);
    REQUIRE(map.ready());
    CHECK(took > 1900ms);
    CHECK(took < 6s);
    CHECK(starts > 3);
    CHECK(starts <= 70);  // two workers, each at most every 100 ms, for two seconds and a bit
    CHECK(share < 0.2);
    for (const auto& result : results) {
      REQUIRE(result.wait(1s));
      CHECK_THROWS_AS(result.get(), PoolTerminated);
    }
    for (const std::string& error :
         {error_of([&] { results[0].get(); }), error_of([&] { map.get(); }),
          error_of([&] { pool.apply(square, 1); })}) {
      CAPTURE(error);
      CHECK(error.find(text_of(mode)) != error.npos);
      CHECK(error.find("no worker comes up any more") != error.npos);
    }
    CHECK_THROWS_AS(pool.apply(square, 1), pinion::PoolClosed);
    CHECK(eventually([&] { return told == 50; }));
    const int then = page->starts;
    std::this_thread::sleep_for(250ms);
    CHECK(page->starts == then);  // it has given up
    check_rest(pool);
  }
}

TEST_CASE_FIXTURE(
    NothingLeft,
    "successors whose initializer hangs are killed at their limit, and the pool says so") {
  set(works);
  CheckedPool pool(two(250ms));
  set(hangs);
  kill_all(pool);
  const auto result = pool.apply_async(square, 3);
  REQUIRE(result.wait(10s));
  const auto error = error_of([&] { result.get(); });
  CAPTURE(error);
  CHECK(error.find("initializer") != error.npos);
  CHECK(error.find("start_limit") != error.npos);
  CHECK(page->starts <= 30);
}

TEST_CASE_FIXTURE(
    NothingLeft,
    "a few failed starts in a row do not fail a pool whose workers were ready just before") {
  set(works);
  CheckedPool pool(PoolOptions{.processes = 1, .initializer = pinion::call(initialize)});
  kill_all(pool);
  CHECK(eventually([&] { return pool.stats().respawns != 0; }));
  std::this_thread::sleep_for(2200ms);  // it is ready all that time
  CHECK(pool.apply(square, 3) == 9);
  page->fail_next = 6;  // for 1 + 2 + ... + 32 ms
  kill_all(pool);
  const auto result = pool.apply_async(square, 4);
  REQUIRE(result.wait(5s));
  CHECK(error_of([&] { CHECK(result.get() == 16); }) == "");
}

TEST_CASE_FIXTURE(NothingLeft, "with a toss at each start a pool goes on, whatever is killed") {
  auto random = seeded();
  set(works);
  CheckedPool pool(two());
  set(one_of_two);
  page->random = static_cast<unsigned>(random());
  const auto end = Clock::now() + 2s;
  int values = 0;
  int lost = 0;
  while (Clock::now() < end) {
    if (random() % 8 == 0) kill_all(pool);
    const auto result = pool.apply_async(square, 5);
    if (const auto value = value_unless_lost(result)) {
      CHECK(*value == 25);
      ++values;
    } else {
      ++lost;
    }
  }
  std::printf("%d values, %d lost, %d starts\n", values, lost, page->starts.load());
  CHECK(values > 0);
  check_rest(pool);
}
