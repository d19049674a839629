// Threads cannot be killed: what becomes of tasks that do not end, and of their threads.
#include <doctest/doctest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::TaskOptions;
using pinion::TaskTimeout;
using pinion::ThreadPool;

namespace {

int square(int x) { return x * x; }

pid_t thread_id() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

/// What tasks of these tests wait for: a gate that the test opens.
std::atomic<bool> gate_open{false};
std::atomic<int> waiting{0};
std::atomic<int> passed{0};

struct Gate {
  Gate() {
    gate_open = false;
    waiting = passed = 0;
  }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() { open(); }
  /// And waits until all that waited are through.
  void open() {
    gate_open = true;
    CHECK(eventually([] { return waiting == passed; }));
  }
};

/// Does not end when it is asked to.
int wait_at_gate(int x) {
  ++waiting;
  while (!gate_open) std::this_thread::sleep_for(1ms);
  ++passed;
  return x;
}

/// As many as it is given: what they lie in must stay theirs.
long sum_behind_gate(const std::vector<int>& numbers) {
  wait_at_gate(0);
  return std::accumulate(numbers.begin(), numbers.end(), 0L);
}

class CheckedThreads : public ThreadPool {
 public:
  using ThreadPool::ThreadPool;
  ~CheckedThreads() {
    if (std::uncaught_exceptions() == 0) check_peace(*this);
  }
};

const TaskOptions short_limit{.timeout = 20ms, .grace = 20ms};

}  // namespace

TEST_CASE("a task beyond its limit ends in time; its thread is abandoned, replaced and counted") {
  const NothingLeft nothing_left;
  Gate gate;
  {
    CheckedThreads pool(1);
    const pid_t before = pool.apply(thread_id);
    auto stuck = pool.apply_async(short_limit, wait_at_gate, 1);
    std::vector<pinion::AsyncResult<int>> behind;
    for (int i = 0; i < 3; ++i) behind.push_back(pool.apply_async(square, i));
    CHECK_THROWS_AS(stuck.get(5s), TaskTimeout);
    for (int i = 0; i < 3; ++i) CHECK(behind[static_cast<std::size_t>(i)].get(5s) == i * i);
    CHECK(pool.apply(thread_id) != before);
    CHECK(passed.load() == 0);
    const auto stats = pool.stats();
    CHECK(stats.abandoned == 1);
    CHECK(stats.deaths == 1);
    CHECK(stats.respawns == 1);
    CHECK(pool.workers()[0].generation == 2);
    gate.open();
    check_rest(pool);
    CHECK(pool.apply(square, 3) == 9);
  }
}

TEST_CASE("an abandoned thread keeps its arguments, and starts nothing more of its chunk") {
  Gate gate;
  static std::atomic<int> started{0};
  started = 0;
  static std::atomic<long> sum{0};
  sum = 0;
  CheckedThreads pool(1);
  SUBCASE("of a single task") {
    const std::vector<int> ones(100'000, 1);
    auto stuck = pool.apply_async(
        short_limit,
        [](const std::vector<int>& v) {
          const long s = sum_behind_gate(v);
          sum = s;
          return s;
        },
        ones);
    CHECK_THROWS_AS(stuck.get(5s), TaskTimeout);
    // Others would get the memory if it were free.
    for (int i = 0; i < 20; ++i) {
      CHECK(pool.apply([](const std::vector<int>& v) { return v.size(); },
                       std::vector<int>(100'000, 7)) == 100'000);
    }
    gate.open();
    CHECK(eventually([] { return sum == 100'000; }));
  }
  SUBCASE("of a map") {
    const auto stuck_at_3 = [](int x) {
      ++started;
      return x == 3 ? wait_at_gate(x) : x;
    };
    auto map = pool.map_async(short_limit, stuck_at_3, numbers(100), 100);
    CHECK_THROWS_AS(map.get(5s), TaskTimeout);
    CHECK(started.load() == 100);
    gate.open();
    check_rest(pool);
    CHECK(started.load() == 100);
  }
  check_rest(pool);
}

TEST_CASE("a task whose thread was abandoned is tried again where that is asked for") {
  Gate gate;
  CheckedThreads pool(1);
  const auto first_hangs = [](const std::vector<int>& v) {
    if (pinion::this_task::attempt() == 1) wait_at_gate(0);
    return v.size();
  };
  TaskOptions options = short_limit;
  options.retries = 1;
  CHECK(pool.apply(options, first_hangs, std::vector<int>(50'000, 1)) == 50'000);
  CHECK(pool.stats().abandoned == 1);
}

TEST_CASE("a task that sees that it is to stop spares its thread") {
  CheckedThreads pool(1);
  const auto until_stopped = [] {
    while (!pinion::this_task::stop_requested()) std::this_thread::sleep_for(1ms);
    return 5;
  };
  CHECK(pool.apply(TaskOptions{.timeout = 20ms, .grace = 10s}, until_stopped) == 5);
  CHECK(pool.stats().abandoned == 0);
}

TEST_CASE("more threads than may be abandoned at a time: the pool goes on when one ends") {
  Gate gate;
  CheckedThreads pool(2);
  const TaskOptions limit{.timeout = 1ms, .grace = 1ms, .worker = 0};
  for (int i = 0; i < 33; ++i) CHECK_THROWS_AS(pool.apply(limit, wait_at_gate, i), TaskTimeout);
  CHECK(pool.stats().abandoned == 33);
  CHECK(pool.apply(square, 4) == 16);
  auto later = pool.apply_async(TaskOptions{.worker = 0}, square, 5);
  CHECK_FALSE(later.wait(50ms));
  gate.open();
  CHECK(later.get(10s) == 25);
}

TEST_CASE("pthread_exit in a task is the end of its thread") {
  const NothingLeft nothing_left;
  CheckedThreads pool(2);
  const auto leave = [](int x) {
    if (x == 3) ::pthread_exit(nullptr);
    return x;
  };
  CHECK_THROWS_AS(pool.apply(leave, 3), pinion::WorkerLost);
  CHECK(pool.apply(leave, 4) == 4);
  CHECK_THROWS_AS(pool.map(leave, numbers(10), 10), pinion::WorkerLost);
  CHECK(pool.stats().deaths == 2);
  CHECK(pool.stats().abandoned == 0);
  CHECK(eventually([&] { return pool.stats().respawns == 2; }));
}

TEST_CASE("an initializer that hangs ends the construction at the start limit") {
  const NothingLeft nothing_left;
  Gate gate;
  const auto begin = Clock::now();
  const std::string text = error_of([] {
    ThreadPool pool(PoolOptions{
        .processes = 1, .initializer = pinion::call(wait_at_gate, 1), .start_limit = 100ms});
  });
  CHECK(text.find("start_limit") != std::string::npos);
  CHECK(Clock::now() - begin < 1s);
  gate.open();
}

TEST_CASE("terminate returns in time beside a stuck thread") {
  const NothingLeft nothing_left;
  Gate gate;
  const auto begin = Clock::now();
  {
    CheckedThreads pool(2);
    auto stuck = pool.apply_async(wait_at_gate, 1);
    CHECK(eventually([] { return waiting == 1; }));
    pool.terminate();
    CHECK_THROWS_AS(stuck.get(5s), pinion::PoolTerminated);
    pool.join();
    CHECK(pool.stats().abandoned == 1);
  }
  CHECK(Clock::now() - begin < 5s);
  gate.open();
}

TEST_CASE("terminate waits for what ends soon, and cancels coroutines") {
  const NothingLeft nothing_left;
  CheckedThreads pool(2);
  auto naps =
      pool.map_async([](int) -> pinion::Task<void> { co_await pinion::sleep_for(1h); }, numbers(8));
  auto plain = pool.apply_async([] {
    while (!pinion::this_task::stop_requested()) std::this_thread::sleep_for(1ms);
  });
  std::this_thread::sleep_for(20ms);
  pool.terminate();
  pool.join();
  CHECK_THROWS_AS(naps.get(), pinion::PoolTerminated);
  CHECK(plain.ready());  // with its value, if that was there in time
  CHECK(pool.stats().abandoned == 0);
}

TEST_CASE("a coroutine that computes beyond its limit costs its thread, and the others of it") {
  Gate gate;
  CheckedThreads pool(1);
  auto other = pool.apply_async(
      [](int) -> pinion::Task<int> {
        co_await pinion::sleep_for(1h);
        co_return 1;
      },
      1);
  const auto hang = [](int x) -> pinion::Task<int> { co_return wait_at_gate(x); };
  CHECK_THROWS_AS(pool.apply(short_limit, hang, 1), TaskTimeout);
  CHECK_THROWS_AS(other.get(5s), pinion::WorkerLost);
  CHECK(pool.apply(square, 2) == 4);
  gate.open();
  check_rest(pool);
}

TEST_CASE("a map of coroutines survives an abandoned thread: each item once") {
  Gate gate;
  static std::array<std::atomic<int>, 20> runs;
  for (auto& n : runs) n = 0;
  CheckedThreads pool(PoolOptions{.processes = 1, .child_concurrency = 2});
  const auto item = [](int x) -> pinion::Task<int> {
    ++runs[static_cast<std::size_t>(x)];
    if (x == 4) wait_at_gate(x);
    co_return x;
  };
  auto map = pool.map_async(short_limit, item, numbers(20), 20);
  CHECK_THROWS_AS(map.get(10s), TaskTimeout);
  gate.open();
  check_rest(pool);
  int never = 0;
  for (const auto& n : runs) {
    CHECK(n.load() <= 1);
    never += n.load() == 0 ? 1 : 0;
  }
  CHECK(never <= 1);  // the one that had been made and waited beside the one that hangs
}
