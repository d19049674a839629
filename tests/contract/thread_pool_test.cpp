// Workers that are threads: what they share with the program, and how errors come back.
#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::StartMethod;
using pinion::TaskOptions;
using pinion::ThreadPool;

namespace {

int square(int x) { return x * x; }

pid_t thread_id() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

struct Own : std::runtime_error {
  using std::runtime_error::runtime_error;
  std::vector<int> data{1, 2, 3};
};

std::atomic<const void*> thrown{nullptr};

int throw_own(int x) {
  try {
    throw Own("own " + std::to_string(x));
  } catch (Own& e) {
    thrown = &e;
    throw;
  }
}

/// The address of what `f` throws, if it is an `Own`.
template <class F>
const void* address_of_own(F f) {
  try {
    f();
  } catch (const Own& e) {
    CHECK(e.data == std::vector{1, 2, 3});
    return &e;
  } catch (...) {
  }
  return nullptr;
}

class CheckedThreads : public ThreadPool {
 public:
  using ThreadPool::ThreadPool;
  ~CheckedThreads() {
    if (std::uncaught_exceptions() == 0) check_peace(*this);
  }
};

}  // namespace

TEST_CASE("tasks run in threads of this process, each with its own index") {
  const NothingLeft nothing_left;
  CheckedThreads pool(3);
  CHECK(pool.processes() == 3);
  CHECK(pool.apply(square, 7) == 49);
  CHECK(pool.apply(::getpid) == ::getpid());
  CHECK(pool.apply(thread_id) != thread_id());
  std::vector<int> expected;
  for (int i = 0; i < 10'000; ++i) expected.push_back(i * i);
  CHECK(pool.map(square, numbers(10'000)) == expected);
  const auto indices = pool.broadcast([] { return pinion::this_worker::index(); });
  CHECK(indices == std::vector<unsigned>{0, 1, 2});
  CHECK_FALSE(pinion::in_worker());
  CHECK(pool.apply([] { return pinion::in_worker(); }));
  const auto threads = pool.broadcast(thread_id);
  CHECK(std::set<pid_t>(threads.begin(), threads.end()).size() == 3);
  for (const auto& worker : pool.workers()) CHECK(worker.pid == ::getpid());
  CHECK(children().empty());
}

TEST_CASE("a thread that a task starts is no worker") {
  CheckedThreads pool(1);
  CHECK_FALSE(pool.apply([] {
    bool in_worker = true;
    std::thread([&] { in_worker = pinion::in_worker(); }).join();
    return in_worker;
  }));
}

TEST_CASE("the start method must not contradict the pool's kind") {
  CHECK_THROWS_AS(ThreadPool(PoolOptions{.start_method = StartMethod::fork}),
                  std::invalid_argument);
  ThreadPool pool(PoolOptions{.processes = 1, .start_method = StartMethod::thread});
  pinion::Pool same(PoolOptions{.processes = 1, .start_method = StartMethod::thread});
  CHECK(same.apply(::getpid) == ::getpid());
}

TEST_CASE("large arguments and results, and more than the arena begins with") {
  CheckedThreads pool(2);
  const std::vector<double> much(1 << 20, 1.5);
  const auto echo = [](const std::vector<double>& v) { return v; };
  CHECK(pool.apply(echo, much) == much);
  const auto all = pool.map(echo, std::vector(4, std::vector<double>(100'000, 2.5)));
  CHECK(all.size() == 4);
  CHECK(all.back().back() == 2.5);
}

TEST_CASE("the original exception object comes back") {
  CheckedThreads pool(2);
  SUBCASE("from apply, at every get") {
    auto result = pool.apply_async(throw_own, 1);
    const void* const address = address_of_own([&] { result.get(); });
    CHECK(address != nullptr);
    CHECK(address == thrown.load());
    CHECK(address_of_own([&] { result.get(); }) == address);
  }
  SUBCASE("from a map, the one of the lowest index") {
    const auto fail_from_5 = [](int x) { return x < 5 ? x : throw_own(x); };
    CHECK(error_of([&] { pool.map(fail_from_5, numbers(100), 10); }) == "own 5");
    const void* const address = address_of_own([&] { pool.map(throw_own, std::vector{3}); });
    CHECK(address == thrown.load());
  }
  SUBCASE("from a stream") {
    auto stream = pool.imap(throw_own, std::vector{3});
    const void* const address = address_of_own([&] { stream.next(); });
    CHECK(address == thrown.load());
  }
  SUBCASE("from a coroutine") {
    const auto coroutine = [](int x) -> pinion::Task<int> {
      co_await pinion::sleep_for(1ms);
      co_return throw_own(x);
    };
    const void* const address = address_of_own([&] { pool.apply(coroutine, 4); });
    CHECK(address == thrown.load());
  }
  SUBCASE("to a callback") {
    std::promise<const void*> seen;
    auto result = pool.apply_async(throw_own, 1);
    result.on_error([&](std::exception_ptr e) {
      seen.set_value(address_of_own([&] { std::rethrow_exception(e); }));
    });
    const void* const address = seen.get_future().get();
    CHECK(address == thrown.load());
  }
  SUBCASE("of pinion's own types too, and of types that are no exceptions") {
    const auto cancelled = [](int) -> int { throw pinion::Cancelled("by hand"); };
    auto result = pool.apply_async(cancelled, 1);
    const void* first = nullptr;
    const void* second = nullptr;
    try {
      result.get();
    } catch (const pinion::Cancelled& e) {
      first = &e;
    }
    try {
      result.get();
    } catch (const pinion::Cancelled& e) {
      second = &e;
    }
    CHECK(first != nullptr);
    CHECK(first == second);
    CHECK_THROWS_AS(pool.apply([](int x) -> int { throw x; }, 42), int);
  }
  SUBCASE("after retries, the last one") {
    const auto fail = [](int x) {
      return throw_own(x + static_cast<int>(pinion::this_task::attempt()));
    };
    CHECK(error_of([&] { pool.apply(TaskOptions{.retries = 2}, fail, 10); }) == "own 13");
    CHECK(pool.stats().retried == 2);
  }
}

TEST_CASE("what is thrown and never asked for is gone with the pool") {
  static std::atomic<int> alive{0};
  struct Counted {
    Counted() { ++alive; }
    Counted(const Counted&) { ++alive; }
    ~Counted() { --alive; }
  };
  {
    CheckedThreads pool(1);
    for (int i = 0; i < 10; ++i) pool.apply_async([](int) -> int { throw Counted(); }, i);
  }
  CHECK(alive == 0);
}

TEST_CASE("a failed initializer ends the construction with its text") {
  const NothingLeft nothing_left;
  CHECK(error_of([] {
          ThreadPool pool(PoolOptions{.processes = 2, .initializer = pinion::call([] {
                                                        throw std::runtime_error("no licence");
                                                      })});
        }).find("no licence") != std::string::npos);
}

TEST_CASE("a thread starts exactly so many items, and its finalizer runs in it, last") {
  static std::mutex mutex;
  static std::map<std::pair<unsigned, std::uint32_t>, int> items;  // of index and generation
  static std::map<std::pair<unsigned, std::uint32_t>, int> ended;  // after how many items
  static const auto here = [] {
    return std::pair(pinion::this_worker::index(), pinion::this_worker::generation());
  };
  items.clear();
  ended.clear();
  {
    CheckedThreads pool(PoolOptions{.processes = 2,
                                    .finalizer = pinion::call([] {
                                      const std::lock_guard lock(mutex);
                                      ended[here()] = items[here()];
                                    }),
                                    .max_tasks_per_child = 5});
    const auto count = [](int x) {
      const std::lock_guard lock(mutex);
      ++items[here()];
      return x;
    };
    CHECK(pool.map(count, numbers(100)) == numbers(100));
    for (int i = 0; i < 7; ++i) CHECK(pool.apply(count, i) == i);
    CHECK(pool.stats().deaths == 0);
  }
  int all = 0;
  for (const auto& [worker, n] : items) {
    CHECK(n <= 5);
    CHECK(ended[worker] == n);
    all += n;
  }
  CHECK(all == 107);
  CHECK(error_of([] {
          ThreadPool pool(PoolOptions{.processes = 1, .max_rss_per_child = 1 << 30});
        }).find("max_rss_per_child") != std::string::npos);
}

TEST_CASE("threads are bound as processes are") {
  CheckedThreads pool(1);
  const auto bound = pool.workers()[0].cpus;
  CHECK_FALSE(bound.empty());
  CHECK(pool.apply([] { return pinion::this_worker::cpus(); }) == bound);
  ThreadPool unbound(PoolOptions{.processes = 1, .placement = pinion::Placement::none()});
  CHECK(unbound.apply([] { return pinion::this_worker::cpus().empty(); }));
}

TEST_CASE("its threads count as the program's own when automatic looks for some") {
  const auto before = pinion::default_start_method();
  pinion::set_start_method(StartMethod::automatic);
  {
    CheckedThreads threads(1);
    pinion::Pool pool(1);  // this program calls pinion::init: forkserver
    CHECK(pool.apply(square, 3) == 9);
    CHECK(pool.apply(::getpid) != ::getpid());
    CHECK_THROWS_AS(pinion::Pool(PoolOptions{.processes = 1, .start_method = StartMethod::fork}),
                    pinion::StartError);
  }
  pinion::set_start_method(before);
}

TEST_CASE("pools of threads, one after the other and beside each other, leave nothing") {
  const NothingLeft nothing_left;
  for (int i = 0; i < 20; ++i) {
    CheckedThreads a(2);
    CheckedThreads b(1);
    auto first = a.apply_async(square, i);
    auto second = b.apply_async(square, i + 1);
    CHECK(first.get() == i * i);
    CHECK(second.get() == (i + 1) * (i + 1));
  }
}
