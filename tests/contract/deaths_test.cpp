// Workers that die: who is harmed, what is told, and what comes after.
#include <doctest/doctest.h>
#include <pthread.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::WorkerLost;

namespace {

int square(int x) { return x * x; }
int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
int overflow(volatile char* above) {
  volatile char here[4096];
  here[0] = *above;
  return above == nullptr ? 0 : overflow(here) + here[0];
}
enum Way { exit_0, exit_3, quick, aborted, segv, stack, terminated, left_thread };
int die(int way) {
  volatile char c = 0;
  switch (way) {
    case exit_0:
      std::exit(0);
    case exit_3:
      ::_exit(3);
    case quick:
      std::quick_exit(4);
    case aborted:
      std::abort();
    case segv:
      ::raise(SIGSEGV);
      break;
    case stack:
      overflow(&c);
      break;
    case terminated:
      std::terminate();
    default:
      ::pthread_exit(nullptr);
  }
  return 0;
}
pinion::Task<int> die_later(int way) {
  co_await pinion::sleep_for(1ms);
  co_return die(way);
}
int die_at_37(int x) {
  if (x == 37) ::raise(SIGKILL);
  return x;
}
pinion::Task<int> nap(int ms) {
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}

std::vector<pid_t> pids(const pinion::Pool& pool) {
  std::vector<pid_t> found;
  for (const auto& worker : pool.workers()) {
    if (worker.pid > 0) found.push_back(worker.pid);
  }
  return found;
}

bool all_ready(const pinion::Pool& pool) {
  for (const auto& worker : pool.workers()) {
    if (worker.state != pinion::WorkerInfo::State::ready || worker.pid == 0) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("every way to die is a WorkerLost that tells how (edge case 27)") {
  CheckedPool pool(2);
  for (const int way : {exit_0, exit_3, quick, aborted, segv, stack, terminated, left_thread}) {
    CAPTURE(way);
    for (const bool coroutine : {false, true}) {
      CAPTURE(coroutine);
      try {
        if (coroutine) {
          pool.apply(die_later, way);
        } else {
          pool.apply(die, way);
        }
        FAIL("it must throw");
      } catch (const WorkerLost& lost) {
        CHECK(lost.pid() > 0);
        CHECK(lost.worker() < 2);
        CHECK(lost.cause() == WorkerLost::Cause::death);
        CHECK(lost.phase() == WorkerLost::Phase::started);
        const auto status = lost.status();
        if (way == exit_0) CHECK(status == pinion::ExitStatus::exited(0));
        if (way == exit_3) CHECK(status == pinion::ExitStatus::exited(3));
        if (way == quick) CHECK(status == pinion::ExitStatus::exited(4));
        if (way == aborted || way == terminated) {
          CHECK(status == pinion::ExitStatus::signaled(SIGABRT));
        }
      }
      CHECK(pool.apply(square, 5) == 25);
    }
  }
  CHECK(pool.stats().deaths == 16);
}

TEST_CASE("idle workers that are killed are replaced, and nothing else happens") {
  NothingLeft nothing;
  CheckedPool pool(2);
  for (int round = 0; round < 100; ++round) {
    const auto before = pids(pool);
    for (const pid_t pid : before) ::kill(pid, SIGKILL);
    REQUIRE(pool.apply(square, round) == round * round);
    REQUIRE(eventually([&] {
      const auto now = pids(pool);
      return all_ready(pool) && now.size() == 2 && now[0] != before[0] && now[1] != before[1];
    }));
  }
  const auto stats = pool.stats();
  CHECK(stats.deaths == 200);
  CHECK(stats.respawns == 200);
  std::uint32_t generations = 0;
  for (const auto& worker : pool.workers()) generations += worker.generation;
  CHECK(generations == 202);
}

TEST_CASE("hundreds of deaths leave no descriptor, mapping or thread") {
  CheckedPool pool(2);
  const auto die_now = [] { ::raise(SIGKILL); };
  for (int i = 0; i < 5; ++i) CHECK_THROWS_AS(pool.apply(die_now), WorkerLost);
  const auto settled = [&] {
    return eventually(
        [&] { return pids(pool).size() == 2 && children().size() == processes_with(2); });
  };
  REQUIRE(settled());
  const auto count = [] {
    return std::vector{entries_of("/proc/self/fd"), entries_of("/proc/self/task"),
                       arena_mappings()};
  };
  const auto before = count();
  for (int i = 0; i < 200; ++i) CHECK_THROWS_AS(pool.apply(die_now), WorkerLost);
  REQUIRE(settled());
  CHECK(eventually([&] { return count() == before; }, 1s));
}

TEST_CASE("what was queued behind a killed task is not lost") {
  for (int round = 0; round < 20; ++round) {
    CheckedPool pool(2);
    std::vector<pinion::AsyncResult<int>> results;
    for (int i = 0; i < 20; ++i) results.push_back(pool.apply_async(slow, 2));
    const auto victims = pids(pool);
    std::this_thread::sleep_for(std::chrono::microseconds(500 * (round % 8)));
    for (const pid_t pid : victims) ::kill(pid, SIGKILL);
    int lost = 0;
    for (const auto& result : results) lost += value_unless_lost(result).value_or(0) != 2;
    CHECK(lost <= 2);
  }
}

TEST_CASE("at whatever item of a chunk a worker dies, only that item is lost") {
  CheckedPool pool(2);
  for (int k = 0; k < 16; ++k) {
    CAPTURE(k);
    const auto before = pool.stats();
    const auto f = [k](int x) {
      std::this_thread::sleep_for(20us);  // too long for strips, which are lost as one
      if (x == k) ::raise(SIGKILL);
      return x;
    };
    auto result = pool.map_async(f, numbers(32), 16);
    try {
      result.get(10s);
      FAIL("it must throw");
    } catch (const WorkerLost& lost) {
      CHECK(lost.item() == static_cast<std::uint64_t>(k));
    }
    CHECK(pool.stats().completed - before.completed == 31);
    CHECK(pool.stats().failed - before.failed == 1);
  }
}

TEST_CASE("in an automatic map one killer loses its own strip at most") {
  CheckedPool pool(2);
  auto result = pool.map_async(die_at_37, numbers(10000));
  CHECK_THROWS_AS(result.get(10s), WorkerLost);
  CHECK(pool.stats().failed <= 32);
}

TEST_CASE("coroutines in flight are all told, and those that had not started run elsewhere") {
  CheckedPool pool(PoolOptions{.processes = 1, .child_concurrency = 16});
  std::vector<pinion::AsyncResult<int>> results;
  for (int i = 0; i < 40; ++i) results.push_back(pool.apply_async(nap, 50));
  std::this_thread::sleep_for(20ms);
  for (const pid_t pid : pids(pool)) ::kill(pid, SIGKILL);
  int lost = 0;
  for (const auto& result : results) lost += value_unless_lost(result).value_or(0) != 50;
  CHECK(lost == 16);
}

TEST_CASE("a stopped worker is not dead until it is killed") {
  CheckedPool pool(1);
  const pid_t pid = pids(pool).at(0);
  ::kill(pid, SIGSTOP);
  auto result = pool.apply_async(square, 3);
  CHECK_FALSE(result.wait(200ms));
  SUBCASE("and goes on") { ::kill(pid, SIGCONT); }
  SUBCASE("and its task runs elsewhere") { ::kill(pid, SIGKILL); }
  CHECK(result.get(5s) == 9);
}

TEST_CASE("of random killing everything submitted has one outcome") {
  auto random = seeded();
  CheckedPool pool(2);
  std::vector<pinion::AsyncResult<int>> singles;
  std::vector<pinion::AsyncResult<std::vector<int>>> maps;
  const auto end = Clock::now() + 3s;
  while (Clock::now() < end) {
    for (int i = 0; i < 20; ++i) singles.push_back(pool.apply_async(square, i));
    singles.push_back(pool.apply_async(nap, 1));
    maps.push_back(pool.map_async(square, numbers(100), 1 + static_cast<int>(random() % 40)));
    const auto victims = pids(pool);
    if (!victims.empty()) ::kill(victims[random() % victims.size()], SIGKILL);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
  }
  std::uint64_t values = 0;
  std::uint64_t lost = 0;
  for (const auto& result : singles) {
    REQUIRE(result.wait(20s));
    ++(value_unless_lost(result) ? values : lost);
  }
  for (auto& result : maps) REQUIRE(result.wait(20s));
  CHECK(values + lost == singles.size());
  const auto stats = pool.stats();
  CHECK(stats.accepted == singles.size() + 100 * maps.size());
  CHECK(stats.pending == 0);
  std::printf("%zu singles, %zu maps, %llu deaths, %llu lost\n", singles.size(), maps.size(),
              static_cast<unsigned long long>(stats.deaths), static_cast<unsigned long long>(lost));
}

TEST_CASE("a child that a task forks publishes nothing") {
  CheckedPool pool(1);
  const auto forks = [](int x) {
    const pid_t child = ::fork();
    if (child == 0) return -1;
    int status = 0;
    ::waitpid(child, &status, 0);
    return x;
  };
  for (int i = 0; i < 10; ++i) CHECK(pool.apply(forks, i) == i);
}

TEST_CASE("a nursery that was started anew is replaced, and no worker is harmed (edge case 48)") {
  CheckedPool pool(PoolOptions{.processes = 2, .start_method = pinion::StartMethod::forkserver});
  for (int round = 0; round < 5; ++round) {
    const pid_t nursery = child_named("pinion-nursery");
    REQUIRE(nursery > 0);
    const auto before = pids(pool);
    ::kill(nursery, SIGKILL);
    CHECK(pool.apply(square, round) == round * round);
    CHECK(pids(pool) == before);
    REQUIRE(eventually([&] {
      const pid_t next = child_named("pinion-nursery");
      return next > 0 && next != nursery;
    }));
    for (const pid_t pid : before) ::kill(pid, SIGKILL);
    CHECK(pool.apply(square, 7) == 49);
    REQUIRE(eventually([&] { return all_ready(pool); }));
  }
  CHECK_FALSE(pool.stats().nursery_lost);
}

TEST_CASE(
    "without its nursery a pool goes on, and fails with that cause with its last worker (edge case "
    "48)") {
  for (const bool workers_first : {false, true}) {
    for (int round = 0; round < 10; ++round) {
      CAPTURE(workers_first);
      CheckedPool pool(PoolOptions{.processes = 2, .start_method = pinion::StartMethod::fork});
      const pid_t nursery = child_named("pinion-nursery");
      REQUIRE(nursery > 0);
      if (workers_first) {
        for (const pid_t pid : pids(pool)) ::kill(pid, SIGKILL);
        if (round % 2 != 0) std::this_thread::sleep_for(std::chrono::microseconds(100 * round));
        ::kill(nursery, SIGKILL);
      } else {
        ::kill(nursery, SIGKILL);
        CHECK(pool.apply(square, 3) == 9);
        for (const pid_t pid : pids(pool)) ::kill(pid, SIGKILL);
      }
      bool ended = false;
      const std::string error = error_of([&] {
        auto result = pool.apply_async(square, 3);
        ended = result.wait(5s);
        if (ended) result.get();  // a successor may have been born just before
      });
      CHECK((ended || !error.empty()));
      if (!workers_first) CHECK(error.find("nursery") != std::string::npos);
      pool.terminate();
    }
  }
}
