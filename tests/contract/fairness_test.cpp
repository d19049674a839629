// Who waits for whom: tasks that compute for long, coroutines that have become ready, and stalls.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::Task;

namespace {

/// A task that computes until it is let go, and tells that it has begun.
class Gate {
 public:
  Gate() { REQUIRE(::mkdtemp(folder_.data()) != nullptr); }
  ~Gate() { std::filesystem::remove_all(folder_); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  [[nodiscard]] const std::string& path() const { return folder_; }
  [[nodiscard]] bool holds() const { return std::filesystem::exists(folder_ + "/held"); }
  void let_go() const { std::ofstream(folder_ + "/open"); }

 private:
  std::string folder_ = (std::filesystem::temp_directory_path() / "gateXXXXXX").string();
};

int hold(std::string folder) {
  std::ofstream(folder + "/held");
  while (::access((folder + "/open").c_str(), F_OK) != 0) {
  }
  return 1;
}
Task<int> hold_in_coroutine(std::string folder) { co_return hold(std::move(folder)); }

int square(int x) { return x * x; }
Task<int> square_later(int x) {
  co_await pinion::yield();
  co_return x* x;
}

void spin(std::chrono::microseconds time) {
  for (const auto end = Clock::now() + time; Clock::now() < end;) {
  }
}

/// What ran in this worker, in order; -1 is the coroutine that was waited for.
std::vector<int>& log() {
  static std::vector<int> entries;
  return entries;
}
std::vector<int> take_log() { return std::exchange(log(), {}); }

int spin_and_log(int number) {
  spin(20ms);
  log().push_back(number);
  return number;
}
Task<> sleep_and_log() {
  co_await pinion::sleep_for(5ms);
  log().push_back(-1);
}

constexpr int yielders = 8;

/// When each turn of a yielder in this worker began.
std::vector<Clock::time_point> turns;
bool over = false;

Task<> spin_and_yield() {
  for (int i = 0; i < 1000 && !over; ++i) {
    turns.push_back(Clock::now());
    spin(2ms);
    co_await pinion::yield();
  }
}
/// Gives how many turns of others began after its time was over.
Task<long> count_turns_after() {
  co_await pinion::sleep_for(20ms);
  const auto due = Clock::now() + 20ms;
  co_await pinion::sleep_for(20ms);
  over = true;
  co_return std::count_if(turns.begin(), turns.end(), [&](auto began) { return began >= due; });
}

Task<> spin_between_awaits(int ms) {
  co_await pinion::yield();
  spin(std::chrono::milliseconds(ms));
  co_await pinion::yield();
}
Task<> wait_for_file(std::string path) {
  while (!std::filesystem::exists(path)) co_await pinion::sleep_for(1ms);
}
Task<> sleep_for_ms(int ms) { co_await pinion::sleep_for(std::chrono::milliseconds(ms)); }
void spin_for_ms(int ms) { spin(std::chrono::milliseconds(ms)); }

}  // namespace

TEST_CASE("a task that computes for long stops no other worker") {
  for (const bool coroutine : {false, true}) {
    const Gate gate;
    CheckedPool pool(2);
    const auto held = coroutine ? pool.apply_async(hold_in_coroutine, gate.path())
                                : pool.apply_async(hold, gate.path());
    REQUIRE(eventually([&] { return gate.holds(); }, 20s));
    std::vector<int> squares;
    for (const int n : numbers(1000)) squares.push_back(n * n);
    CHECK(pool.map_async(square, numbers(1000)).get(60s) == squares);
    CHECK(pool.map_async(square_later, numbers(1000)).get(60s) == squares);
    for (int n = 0; n < 100; ++n) CHECK(pool.apply_async(square, n).get(60s) == n * n);
    CHECK_FALSE(held.ready());
    gate.let_go();
    CHECK(held.get(20s) == 1);
  }
}

TEST_CASE("what a busy worker has not started goes to others") {
  const Gate first;
  const Gate second;
  CheckedPool pool(2);
  const auto held = pool.apply_async(hold, first.path());
  const auto soon = pool.apply_async(hold, second.path());
  REQUIRE(eventually([&] { return first.holds() && second.holds(); }, 20s));
  // Both are busy, so that some of these lie in the ring of either.
  std::vector<pinion::AsyncResult<int>> results;
  for (int i = 0; i < 50; ++i) results.push_back(pool.apply_async(square, i));
  for (int i = 0; i < 50; ++i) results.push_back(pool.apply_async(square_later, i));
  second.let_go();
  for (int i = 0; i < 100; ++i) CHECK(results[i].get(60s) == i % 50 * (i % 50));
  CHECK_FALSE(held.ready());
  CHECK(pool.stats().taken_back > 0);
  first.let_go();
  CHECK(held.get(20s) == 1);
}

TEST_CASE(
    "a coroutine that has become ready waits for the plain task that runs, and for no other") {
  for (const auto io : {pinion::IoBackend::poll, pinion::IoBackend::automatic}) {
    CheckedPool pool(PoolOptions{.processes = 1, .io = io});
    const auto sleeper = pool.apply_async(sleep_and_log);
    std::vector<pinion::AsyncResult<int>> tasks;
    for (int i = 0; i < 10; ++i) tasks.push_back(pool.apply_async(spin_and_log, i));
    for (auto& task : tasks) task.get();
    sleeper.get();
    const std::vector<int> order = pool.apply(take_log);
    // Its time is over before the first one ends.
    const auto at = std::find(order.begin(), order.end(), -1) - order.begin();
    CHECK(at <= 1);
  }
}

TEST_CASE("a coroutine that has become ready waits for those before it, and for one turn of each") {
  CheckedPool pool(PoolOptions{.processes = 1});
  std::vector<pinion::AsyncResult<void>> others;
  for (int i = 0; i < yielders; ++i) others.push_back(pool.apply_async(spin_and_yield));
  const auto waited = pool.apply_async(count_turns_after);
  for (auto& other : others) other.get();
  // One turn of each until it is seen that the time is over, and one of those that are ready then.
  CHECK(waited.get() <= 2 * yielders);
}

TEST_CASE("a stall is counted, by whatever task, and stays counted when the worker is gone") {
  const Gate gate;
  CheckedPool pool(PoolOptions{.processes = 1, .stall_limit = 20ms});
  pool.apply(spin_between_awaits, 100);
  CHECK(pool.workers()[0].stalls >= 1);
  CHECK(pool.workers()[0].longest_stall >= 100ms);
  CHECK(pool.stats().stalls == pool.workers()[0].stalls);
  // A plain task, while a coroutine waits.
  const auto waits = pool.apply_async(wait_for_file, gate.path() + "/open");
  pool.apply(spin_for_ms, 150);
  gate.let_go();
  waits.get();
  const std::uint64_t before = pool.stats().stalls;
  CHECK(before >= 2);
  CHECK(pool.workers()[0].longest_stall >= 150ms);
  CHECK_THROWS_AS(pool.apply([] { ::_exit(1); }), pinion::WorkerLost);
  REQUIRE(eventually([&] { return pool.workers()[0].generation == 2; }));
  CHECK(pool.stats().stalls == before);
}

TEST_CASE("to wait is no stall, in a worker of whatever kind") {
  using pinion::StartMethod;
  for (const StartMethod method : {StartMethod::fork, StartMethod::thread, StartMethod::serial}) {
    CheckedPool pool(PoolOptions{.processes = 1, .start_method = method, .stall_limit = 500ms});
    pool.apply(sleep_for_ms, 800);
    CHECK(pool.stats().stalls == 0);
  }
}

TEST_CASE("without a limit, and without coroutines, there are no stalls") {
  {
    CheckedPool pool(PoolOptions{.processes = 1, .stall_limit = {}});
    pool.apply(spin_between_awaits, 50);
    CHECK(pool.stats().stalls == 0);
  }
  {
    CheckedPool pool(PoolOptions{.processes = 1, .stall_limit = 1ms});
    for (int i = 0; i < 5; ++i) pool.apply(spin_for_ms, 10);
    pool.map(spin_for_ms, std::vector<int>{2, 2, 2});
    CHECK(pool.stats().stalls == 0);
    CHECK(pool.workers()[0].longest_stall == 0ms);
  }
}
