// Each way to be woken, alone: whoever sleeps is woken for what there is, and no backstop finds any
// (PoolStats::late_wakeups). In the library of the mutants each scene loses its wake-ups, and its
// last line is what must fail.
#include <doctest/doctest.h>
#include <pinion/pinion.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include "contract/checks.hpp"
#include "fault/shared.hpp"

using namespace checks;
using pinion::AsyncResult;
using pinion::Pool;
using pinion::PoolOptions;

namespace {

/// How many tasks have begun, and ended.
struct Counts {
  std::atomic<int> begun;
  std::atomic<int> ended;
};
const Shared<Counts> counts;

int nap(int ms) {
  ++counts->begun;
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  ++counts->ended;
  return ms;
}
pinion::Task<int> nap_in_loop(int ms) {
  ++counts->begun;
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}

/// A pool of one worker that has been used and sleeps. Not a CheckedPool: mutants are to fail one
/// check only.
struct Scene {
  const NothingLeft nothing;
  Pool pool;

  explicit Scene(unsigned child_concurrency = 16)
      : pool(PoolOptions{
            .processes = 1, .child_concurrency = child_concurrency, .idle = pinion::Idle::sleep}) {
    counts->begun = counts->ended = 0;
    rest();
  }
  ~Scene() { check_accounts(pool); }

  void rest() const {
    const pid_t worker = pool.workers()[0].pid;
    for (int in_a_row = 0; in_a_row < 3;) {
      std::this_thread::sleep_for(2ms);
      const auto found = process(worker);
      in_a_row = found && found->state == 'S' ? in_a_row + 1 : 0;
    }
  }
  [[nodiscard]] std::uint64_t late() const { return pool.stats().late_wakeups; }
};

/// Looks by itself, so that it needs no bell.
template <class T>
bool comes(const AsyncResult<T>& result) {
  return eventually([&] { return result.ready(); }, 10s);
}

}  // namespace

TEST_CASE("a worker that sleeps is rung for a task") {
  Scene scene;
  CHECK(comes(scene.pool.apply_async(nap, 1)));
  CHECK(scene.late() == 0);
}

TEST_CASE("a worker that sleeps in its loop is rung for a task") {
  Scene scene;
  const auto later = scene.pool.apply_async(nap_in_loop, 60'000);
  REQUIRE(eventually([] { return counts->begun == 1; }));
  scene.rest();
  CHECK(comes(scene.pool.apply_async(nap, 1)));
  later.cancel();
  CHECK(scene.late() == 0);
}

TEST_CASE("a worker that can take no more is rung for what else there is") {
  Scene scene(1);
  const auto later = scene.pool.apply_async(nap_in_loop, 60'000);
  REQUIRE(eventually([] { return counts->begun == 1; }));
  scene.rest();
  CHECK_FALSE(later.ready());
  CHECK_FALSE(later.cancel());  // it has started: it is asked to end
  CHECK(comes(later));
  CHECK(scene.late() == 0);
}

TEST_CASE("a caller that collects is rung for a result") {
  Scene scene;
  const auto result = scene.pool.apply_async(nap, 300);
  REQUIRE(eventually([&] { return counts->begun == 1; }));
  const std::uint64_t before = scene.late();
  CHECK(result.get(10s) == 300);
  const std::uint64_t late = scene.late() - before;
  CHECK(late == 0);
}

TEST_CASE("a service thread that collects is rung for results") {
  Scene scene;
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 8; ++i) results.push_back(scene.pool.apply_async(nap, 20));
  REQUIRE(eventually([&] { return counts->begun == 1; }));
  const std::uint64_t before = scene.late();
  REQUIRE(eventually([&] { return counts->ended == 8; }, 30s));
  const std::uint64_t late = scene.late() - before;
  for (const auto& result : results) CHECK(comes(result));
  CHECK(late == 0);
}

TEST_CASE("a caller on the list is told of its result") {
  Scene scene;
  const auto quick = scene.pool.apply_async(nap, 300);
  const auto slow = scene.pool.apply_async(nap, 1200);
  std::thread collector([&] { slow.wait(); });
  std::this_thread::sleep_for(50ms);
  CHECK(quick.get(10s) == 300);
  collector.join();
  CHECK(scene.late() == 0);
}

TEST_CASE("a caller on the list gets the baton of one that leaves") {
  Scene scene;
  const auto quick = scene.pool.apply_async(nap, 300);
  const auto slow = scene.pool.apply_async(nap, 1200);
  std::thread collector([&] { quick.wait(); });
  std::this_thread::sleep_for(50ms);
  CHECK(slow.get(10s) == 1200);
  collector.join();
  CHECK(scene.late() == 0);
}

TEST_CASE("the service thread is told that nobody collects") {
  Scene scene;
  // The first task after a second without any tells it, too: it is to sleep again.
  REQUIRE(comes(scene.pool.apply_async(nap, 1)));
  std::this_thread::sleep_for(50ms);
  counts->ended = 0;
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 8; ++i) results.push_back(scene.pool.apply_async(nap, 20));
  REQUIRE(eventually([&] { return counts->ended == 8; }, 30s));
  for (const auto& result : results) CHECK(comes(result));
  CHECK(scene.late() == 0);
}
