// The start method `serial`: calls run in the thread that makes them.
#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <map>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::Pool;
using pinion::PoolOptions;
using pinion::StartMethod;
using pinion::TaskOptions;
using pinion::TaskTimeout;

namespace {

int square(int x) { return x * x; }

pid_t thread_id() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

const PoolOptions serial{.start_method = StartMethod::serial};

std::atomic<bool> gate_open{false};
std::atomic<bool> at_gate{false};
int wait_at_gate(int x) {
  at_gate = true;
  while (!gate_open) std::this_thread::sleep_for(1ms);
  return x;
}

/// For tasks that call their own pool.
Pool* own_pool = nullptr;

struct Own : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace

TEST_CASE("a call runs in the thread that makes it, and has run when it returns") {
  const NothingLeft nothing_left;
  CheckedPool pool(serial);
  CHECK(pool.processes() == 1);
  CHECK(pool.apply(thread_id) == thread_id());
  CHECK(pool.apply(square, 7) == 49);
  static std::atomic<int> runs{0};
  runs = 0;
  const auto count = [](int x) {
    ++runs;
    return x;
  };
  auto result = pool.apply_async(count, 5);
  CHECK(runs == 1);
  CHECK(result.ready());
  CHECK(result.get() == 5);
  auto map = pool.map_async(count, numbers(10'000));
  CHECK(runs == 10'001);
  CHECK(map.get() == numbers(10'000));
  CHECK(children().empty());
}

TEST_CASE("coroutines of a call run at once, and to their end") {
  CheckedPool pool(serial);
  const auto nap = [](int x) -> pinion::Task<int> {
    co_await pinion::sleep_for(20ms);
    co_return x;
  };
  const auto begin = Clock::now();
  auto map = pool.map_async(nap, numbers(16));
  CHECK(map.ready());
  CHECK(Clock::now() - begin < 16 * 20ms);
  CHECK(map.get() == numbers(16));
}

TEST_CASE("streams, broadcasts, callbacks and stats are as with workers") {
  CheckedPool pool(PoolOptions{.processes = 3, .start_method = StartMethod::serial});
  std::vector<int> seen;
  for (const int x : pool.imap(square, std::vector{1, 2, 3, 4})) seen.push_back(x);
  CHECK(seen == std::vector{1, 4, 9, 16});
  const auto indices = pool.broadcast([] { return pinion::this_worker::index(); });
  CHECK(indices == std::vector<unsigned>{0, 1, 2});
  CHECK_FALSE(pinion::in_worker());
  std::promise<int> called;
  pool.apply_async(square, 5).on_success([&](const int& x) { called.set_value(x); });
  CHECK(called.get_future().get() == 25);
  CHECK(pool.stats().completed == 8);
  CHECK(pool.workers().size() == 3);
}

TEST_CASE("a thousand results of a megabyte: more than the arena begins with") {
  CheckedPool pool(serial);
  const auto make = [](int x) { return std::vector<int>(250'000, x); };
  for (const auto& v : pool.imap(make, numbers(50))) CHECK(v.size() == 250'000);
  const auto all = pool.map(make, numbers(10));
  CHECK(all[9][9] == 9);
}

TEST_CASE("the initializer runs in the constructor, and its error is the constructor's") {
  static std::atomic<int> runs{0};
  static std::atomic<pid_t> where{0};
  runs = 0;
  {
    CheckedPool pool(PoolOptions{.initializer = pinion::call([] {
                                   ++runs;
                                   where = thread_id();
                                 }),
                                 .start_method = StartMethod::serial});
    CHECK(runs == 1);
    CHECK(where == thread_id());
  }
  CHECK(error_of([] {
          Pool pool(PoolOptions{
              .initializer = pinion::call([] { throw std::runtime_error("no licence"); }),
              .start_method = StartMethod::serial});
        }).find("no licence") != std::string::npos);
}

TEST_CASE("a worker is replaced after so many items, and its finalizer runs where join is called") {
  static std::map<std::uint32_t, int> items;  // of a generation
  static std::vector<pid_t> finalized;
  items.clear();
  finalized.clear();
  {
    CheckedPool pool(
        PoolOptions{.start_method = StartMethod::serial,
                    .finalizer = pinion::call([] { finalized.push_back(thread_id()); }),
                    .max_tasks_per_child = 3});
    const auto count = [](int x) {
      ++items[pinion::this_worker::generation()];
      return x;
    };
    auto map = pool.map_async(count, numbers(8));
    CHECK(map.ready());
    CHECK(map.get() == numbers(8));
  }
  CHECK(items == std::map<std::uint32_t, int>{{1, 3}, {2, 3}, {3, 2}});
  CHECK(finalized == std::vector<pid_t>(3, thread_id()));
}

TEST_CASE("the original exception object comes back") {
  CheckedPool pool(serial);
  static const void* thrown = nullptr;
  const auto fail = [](int x) -> int {
    try {
      throw Own("own " + std::to_string(x));
    } catch (const Own& e) {
      thrown = &e;
      throw;
    }
  };
  const void* caught = nullptr;
  try {
    pool.apply(fail, 3);
  } catch (const Own& e) {
    caught = &e;
  }
  CHECK(caught != nullptr);
  CHECK(caught == thrown);
  CHECK(error_of([&] { pool.map(fail, numbers(5)); }) == "own 0");
}

TEST_CASE("a task may submit to its own pool, but not wait for it (edge case 57)") {
  CheckedPool pool(serial);
  own_pool = &pool;
  static std::vector<int> order;
  order.clear();
  SUBCASE("what it submits runs after it") {
    const auto inner = [](int x) {
      order.push_back(x);
      return x;
    };
    static const auto run_inner = inner;
    const auto outer = [](int x) {
      own_pool->apply_async(run_inner, x + 1);
      order.push_back(x);
      return x;
    };
    CHECK(pool.apply(outer, 1) == 1);
    CHECK(order == std::vector{1, 2});
  }
  SUBCASE("a wait is an error, which the task may catch") {
    const auto outer = [](int x) { return own_pool->apply(square, x); };
    CHECK_THROWS_AS(pool.apply(outer, 1), std::logic_error);
    const auto catches = [](int x) {
      auto result = own_pool->apply_async(square, x);
      try {
        result.get();
      } catch (const std::logic_error&) {
        return 5;
      }
      return 6;
    };
    CHECK(pool.apply(catches, 1) == 5);
  }
  SUBCASE("of another pool it may wait") {
    CheckedPool other(serial);
    own_pool = &other;
    const auto outer = [](int x) { return own_pool->apply(square, x) + 1; };
    CHECK(pool.apply(outer, 3) == 10);
  }
  CHECK(pool.apply(square, 2) == 4);
}

TEST_CASE("several threads: one runs at a time, each its own call") {
  CheckedPool pool(serial);
  static std::atomic<int> inside{0};
  static std::atomic<int> most{0};
  inside = most = 0;
  const auto alone = [](int x) {
    const int now = ++inside;
    if (now > most) most = now;
    std::this_thread::sleep_for(100us);
    --inside;
    return x;
  };
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) good += pool.apply(alone, i) == i ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 200);
  CHECK(most == 1);
}

TEST_CASE("a task beyond its limit: who waits elsewhere hears of it in time, and others go on") {
  gate_open = at_gate = false;
  CheckedPool pool(serial);
  std::promise<pinion::AsyncResult<int>> handle;
  std::exception_ptr seen;
  std::thread stuck([&] {
    try {
      pool.apply(TaskOptions{.timeout = 20ms, .grace = 20ms}, wait_at_gate, 1);
    } catch (...) {
      seen = std::current_exception();
    }
  });
  CHECK(eventually([] { return at_gate.load(); }));
  CHECK(pool.apply(square, 6) == 36);  // in the successor
  CHECK(pool.stats().abandoned == 1);
  CHECK(seen == nullptr);  // in place: it comes back when its task does
  gate_open = true;
  stuck.join();
  REQUIRE(seen != nullptr);
  CHECK_THROWS_AS(std::rethrow_exception(seen), TaskTimeout);
  check_rest(pool);
}

TEST_CASE("terminate from another thread settles what runs, and join does not wait for it") {
  gate_open = at_gate = false;
  std::exception_ptr seen;
  std::thread stuck;
  {
    CheckedPool pool(serial);
    auto* const shared = &pool;
    stuck = std::thread([&seen, shared] {
      auto result = shared->apply_async(wait_at_gate, 1);  // returns when the gate is open
      try {
        result.get();
      } catch (...) {
        seen = std::current_exception();
      }
    });
    CHECK(eventually([] { return at_gate.load(); }));
    pool.terminate();
    CHECK(pool.join(10s));
    CHECK(pool.stats().abandoned == 1);
    gate_open = true;
    stuck.join();
  }
  REQUIRE(seen != nullptr);
  CHECK_THROWS_AS(std::rethrow_exception(seen), pinion::PoolTerminated);
}

TEST_CASE("cancel finds nothing to cancel: all has run") {
  CheckedPool pool(serial);
  auto result = pool.apply_async(square, 3);
  CHECK_FALSE(result.cancel());
  CHECK(result.get() == 9);
}

TEST_CASE("options that mean something else here") {
  CHECK_THROWS_AS(
      Pool(PoolOptions{.start_method = StartMethod::serial, .io = pinion::IoBackend::uring}),
      std::invalid_argument);
  CheckedPool pool(PoolOptions{.start_method = StartMethod::serial, .max_pending = 2});
  CHECK(pool.map(square, numbers(10)).size() == 10);
}

TEST_CASE("coroutines of the caller await its results and streams beside a timer") {
  const NothingLeft nothing_left;
  CheckedPool pool(serial);
  CheckedPool other(2);
  auto all = [](Pool& here, Pool& there) -> pinion::Task<int> {
    auto tick = []() -> pinion::Task<int> {
      for (int i = 0; i < 5; ++i) co_await pinion::sleep_for(1ms);
      co_return 1000;
    };
    auto take = [](pinion::ResultStream<int> stream) -> pinion::Task<int> {
      int sum = 0;
      while (const auto value = co_await stream.next_async()) sum += *value;
      co_return sum;
    };
    const auto [ticks, sum, nine, four] = co_await pinion::when_all(
        tick(), take(here.imap(square, numbers(5))), pinion::as_task(there.apply_async(square, 3)),
        pinion::as_task(here.apply_async(square, 2)));
    co_return ticks + sum + nine + four;
  };
  CHECK(pinion::run(all(pool, other)) == 1000 + 30 + 9 + 4);
}
