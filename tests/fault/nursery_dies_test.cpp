// The nursery, from which all workers are made, dies: at rest, beside work, at each of its system
// calls. No worker is harmed, nothing is lost or run twice, and the pool says why it ends.
#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <array>
#include <atomic>
#include <csignal>

#include "fault/syscall_faults.hpp"
#include "lib/topology/plan.hpp"
#include "tests/contract/checks.hpp"
#include "tests/support/skipped.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::PoolTerminated;
using pinion::WorkerInfo;

namespace {

struct Runs {
  std::array<std::atomic<int>, 4096> of{};
};
SharedPage<Runs> runs;

int counted(int i) {
  ++runs->of[std::size_t(i)];
  return i;
}
int square(int x) { return x * x; }
int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
pinion::Task<int> nap(int ms) {
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}
/// Whether the pool says that nobody is replaced any more.
bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

void kill_nursery() {
  const pid_t nursery = child_named("pinion-nursery");
  REQUIRE(nursery > 0);
  ::kill(nursery, SIGKILL);
  CHECK(eventually([&] { return !process(nursery); }));  // reaped by the pool
}

std::vector<pid_t> pids(const pinion::Pool& pool) {
  std::vector<pid_t> all;
  for (const WorkerInfo& worker : pool.workers()) all.push_back(worker.pid);
  return all;
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft, "at rest and beside work, no worker notices") {
  CheckedPool pool(PoolOptions{.processes = 2, .child_concurrency = 8});
  const auto before = pids(pool);
  std::vector<pinion::AsyncResult<int>> results;
  for (int i = 0; i < 8; ++i) results.push_back(pool.apply_async(nap, 120));
  const auto plain = pool.apply_async(slow, 150);
  kill_nursery();
  CHECK(eventually([&] { return pool.stats().nursery_lost; }));
  for (const auto& result : results) CHECK(result.get(5s) == 120);
  CHECK(plain.get(5s) == 150);
  for (int i = 0; i < 500; ++i) REQUIRE(pool.apply(square, i) == i * i);
  CHECK(pids(pool) == before);
  CHECK(pool.stats().deaths == 0);
  CHECK(pool.stats().failed == 0);
}

TEST_CASE_FIXTURE(
    NothingLeft,
    "with one worker of three after the other it goes on, and the last one's death is told") {
  CheckedPool pool(3U);
  kill_nursery();
  for (std::size_t dead = 0; dead < 2; ++dead) {
    const auto before = pids(pool);
    ::kill(before[dead], SIGKILL);
    CHECK(eventually([&] { return pool.workers()[dead].state == WorkerInfo::State::lost; }));
    std::vector<pinion::AsyncResult<int>> results;
    for (int i = 0; i < 300; ++i) results.push_back(pool.apply_async(square, i));
    for (int i = 0; i < 300; ++i) REQUIRE(results[std::size_t(i)].get(5s) == i * i);
    for (std::size_t i = dead + 1; i < 3; ++i) CHECK(pids(pool)[i] == before[i]);
  }
  const auto running = pool.apply_async(slow, 10000);
  std::vector<pinion::AsyncResult<int>> waiting;
  for (int i = 0; i < 100; ++i) waiting.push_back(pool.apply_async(square, i));
  const auto map = pool.map_async(square, numbers(500), 7);
  slow(20);
  ::kill(pids(pool)[2], SIGKILL);
  for (const auto& result : waiting) {
    REQUIRE(result.wait(5s));
    const auto error = error_of([&] { result.get(); });
    REQUIRE(holds(error, "nursery"));
    CHECK_THROWS_AS(result.get(), PoolTerminated);
  }
  CHECK(running.wait(5s));
  CHECK(error_of([&] { running.get(); }) != "");
  REQUIRE(map.wait(5s));
  CHECK(holds(error_of([&] { map.get(); }), "nursery"));
  const auto refused = error_of([&] { pool.apply(square, 1); });
  CAPTURE(refused);
  CHECK(holds(refused, "nursery"));
  CHECK_THROWS_AS(pool.apply(square, 1), pinion::PoolClosed);
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "killed while it makes a successor: nothing is lost, nothing runs twice") {
  auto random = seeded();
  for (int round = 0; round < 40; ++round) {
    CAPTURE(round);
    NothingLeft nothing;
    for (auto& n : runs->of) n = 0;
    CheckedPool pool(2);
    const pid_t nursery = child_named("pinion-nursery");
    REQUIRE(nursery > 0);
    ::kill(pids(pool)[0], SIGKILL);
    std::vector<pinion::AsyncResult<int>> results;
    const auto kill_at = random() % 200;
    for (int i = 0; i < 400; ++i) {
      if (i == int(kill_at)) {
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
        ::kill(nursery, SIGKILL);
      }
      results.push_back(pool.apply_async(counted, i));
    }
    for (int i = 0; i < 400; ++i) {
      REQUIRE(results[std::size_t(i)].wait(5s));
      CHECK(value_unless_lost(results[std::size_t(i)]).value_or(i) == i);
    }
    for (int i = 0; i < 400; ++i) CHECK(runs->of[std::size_t(i)] <= 1);
    check_rest(pool);
  }
}

namespace {

/// A pool's life with a death in it. Any number of it may be lost with its worker, and all of it
/// ends.
std::string live(Report& report) {
  CheckedPool pool(2U);
  report.stage = 1;
  std::vector<pinion::AsyncResult<int>> results;
  const auto submit = [&] {
    for (int i = 0; i < 50; ++i) {
      results.push_back(pool.apply_async(counted, int(results.size())));
    }
  };
  submit();
  for (const auto& result : results) result.wait();
  ::kill(pool.workers()[0].pid, SIGKILL);
  for (int k = 0; k < 8; ++k) {  // while the successor is made, and after
    submit();
    results.back().wait();
    std::this_thread::sleep_for(1ms);
  }
  std::string said = "ok";
  for (int i = 0; i < int(results.size()); ++i) {
    auto& result = results[std::size_t(i)];
    if (!result.wait(5s)) return "task " + std::to_string(i) + " never ended";
    if (value_unless_lost(result).value_or(i) != i) return "a result is wrong";
    if (runs->of[std::size_t(i)] > 1) return "task " + std::to_string(i) + " ran twice";
  }
  for (const std::string& what : pinion::detail::PoolAccess::core(pool).verify()) {
    said = "account: " + what;
  }
  return said;
}

}  // namespace

TEST_CASE_FIXTURE(
    NothingLeft,
    "killed at each of its system calls, while the pool is made and while it replaces") {
  if (!can_listen()) {
    checks::skip("this machine does not let a process listen to system calls");
    return;
  }
  int made = 0;
  int refused = 0;
  std::set<std::string> texts;
  for (std::uint64_t nth = 1;; ++nth) {
    CAPTURE(nth);
    for (auto& n : runs->of) n = 0;
    Fault fault;
    fault.nth = nth;
    fault.caller = Caller::nursery;
    FaultRun run(fault, [](Report& report) {
      std::string said;
      try {
        said = live(report);
      } catch (const pinion::StartError& e) {
        said = std::string("StartError: ") + e.what();
      }
      report.quiet = 1;
      if (!eventually([] { return children().empty(); }, 500ms)) {
        said += ", and left" + living_children() + " of " + std::to_string(children().size());
      }
      report.say(said);
    });
    REQUIRE(run.outcome().listened);
    const std::string said = run.outcome().said;
    CAPTURE(said);
    CHECK_FALSE(run.outcome().hung);
    CHECK(run.outcome().status == 0);
    CHECK((said == "ok" || said.rfind("StartError: ", 0) == 0));
    CHECK_FALSE(holds(said, "and left"));
    said == "ok" ? ++made : ++refused;
    if (said != "ok") texts.insert(said);
    CHECK(living_children() == "");
    end_leftovers(run.manager());
    if (!run.outcome().reached) break;
    REQUIRE(nth < 500);
  }
  std::printf("%d pools made, %d refused\n", made, refused);
  for (const std::string& text : texts) std::printf("  %s\n", text.c_str());
  CHECK(made > 1);
  CHECK(refused > 1);
}

TEST_CASE_FIXTURE(
    NothingLeft,
    "an answer that comes late and is not received: no task goes to a worker that is given up") {
  if (!can_listen()) {
    checks::skip("this machine does not let a process listen to system calls");
    return;
  }
  int reached = 0;  // a busy machine may make no successor before the end
  for (int round = 0; round < 10; ++round) {
    CAPTURE(round);
    for (auto& n : runs->of) n = 0;
    Fault fault;
    fault.calls = {SYS_recvmsg};
    fault.caller = Caller::manager;
    fault.nth = 3;  // after those for two workers
    fault.error = ENOMEM;
    fault.delay = std::chrono::milliseconds(round * 4);  // the newborn is ready meanwhile
    FaultRun run(fault, [](Report& report) { report.say(live(report)); });
    REQUIRE(run.outcome().listened);
    reached += run.outcome().reached;
    CHECK_FALSE(run.outcome().hung);
    CHECK(run.outcome().said == "ok");
    CHECK(living_children() == "");
    end_leftovers(run.manager());
  }
  CHECK(reached > 0);
}

int main(int argc, char** argv) {
  adopt_orphans();
  static_cast<void>(pinion::topology::plan_here({}, 2));  // looked at once, inherited by children
  return doctest::Context(argc, argv).run();
}
