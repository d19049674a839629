// TaskOptions: retries, fail_fast and wait_when_full; and chunks of every kind.
#include <doctest/doctest.h>

#include <csignal>
#include <numeric>
#include <stdexcept>
#include <string>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::Cancelled;
using pinion::Chunking;
using pinion::PoolOptions;
using pinion::TaskOptions;

namespace {

int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
int third_fails(int i) {
  std::this_thread::sleep_for(1ms);
  if (i == 3) throw std::domain_error("three");
  return i;
}
int dies(int i) {
  if (i == 3) std::abort();
  std::this_thread::sleep_for(1ms);
  return i;
}
pinion::Task<int> third_fails_later(int i) {
  co_await pinion::sleep_for(1ms);
  if (i == 3) throw std::domain_error("three");
  co_return i;
}
int square(int x) { return x * x; }
/// Fails until it is started for the n-th time, each time in another way.
std::string third_time(int n, const std::string& text) {
  const unsigned attempt = pinion::this_task::attempt();
  if (attempt == 1) throw std::domain_error("the first time");
  if (attempt == 2 && n > 2) std::abort();
  return text + std::to_string(attempt);
}
unsigned succeeds_at(int n) {
  const unsigned attempt = pinion::this_task::attempt();
  if (attempt < static_cast<unsigned>(n)) throw std::domain_error(std::to_string(attempt));
  return attempt;
}
pinion::Task<unsigned> succeeds_later_at(int n) {
  const unsigned attempt = pinion::this_task::attempt();
  co_await pinion::sleep_for(1ms);
  if (attempt < static_cast<unsigned>(n)) throw std::domain_error(std::to_string(attempt));
  co_return attempt;
}
int too_slow_once(int ms) { return pinion::this_task::attempt() == 1 ? slow(ms) : -1; }

}  // namespace

TEST_CASE("fail_fast: an item that fails ends what has not started") {
  if (left_out("a task ends its process")) return;
  CheckedPool pool(2);
  const TaskOptions options{.fail_fast = true};
  for (const auto chunk : {Chunking(1), Chunking(50), Chunking(2000), Chunking()}) {
    const auto before = pool.stats();
    CHECK_THROWS_AS(pool.map(options, third_fails, numbers(4000), chunk), std::domain_error);
    const auto after = pool.stats();
    CHECK(after.completed - before.completed < 2000);
    CHECK(after.accepted - before.accepted == 4000);
    CHECK(after.pending == 0);
  }
  CHECK_THROWS_AS(pool.map(options, third_fails_later, numbers(4000)), std::domain_error);
  CHECK_THROWS_AS(pool.map(options, dies, numbers(4000)), pinion::WorkerLost);
  CHECK(pool.map(options, square, numbers(10)).back() == 81);
}

TEST_CASE("without fail_fast all items run (edge case 10)") {
  CheckedPool pool(2);
  CHECK_THROWS_AS(pool.map(third_fails, numbers(200)), std::domain_error);
  CHECK(pool.stats().completed == 199);
}

TEST_CASE("fail_fast in a stream: what comes after the error is cancelled") {
  CheckedPool pool(1);
  auto stream = pool.imap(third_fails, std::views::iota(0),
                          {.chunksize = 2, .window = 64, .task = {.fail_fast = true}});
  int values = 0;
  int cancelled = 0;
  bool failed = false;
  for (bool more = true; more;) {
    try {
      more = stream.next().has_value();
      if (more) ++values;
    } catch (const std::domain_error&) {
      failed = true;
    } catch (const Cancelled&) {
      ++cancelled;
    } catch (const pinion::PoolClosed&) {  // its input is closed
    }
  }
  CHECK(failed);
  CHECK(values < 64);
  CHECK(cancelled > 0);
}

TEST_CASE("wait_when_full: false refuses where a submit would wait") {
  CheckedPool pool(PoolOptions{.processes = 1, .max_pending = 2});
  const TaskOptions options{.wait_when_full = false};
  auto one = pool.apply_async(options, slow, 50);
  auto two = pool.apply_async(options, slow, 1);
  const auto submit = [&] { return pool.apply_async(options, slow, 1).get(); };
  CHECK_THROWS_AS(submit(), pinion::ResourceError);
  CHECK(error_of(submit).find("max_pending") != std::string::npos);
  CHECK_THROWS_AS(pool.map(options, slow, numbers(3)), pinion::ResourceError);
  CHECK_THROWS_AS(
      pool.apply_async(
          options, [](const std::string& s) { return s.size(); }, std::string(10'000, 'x')),
      pinion::ResourceError);
  CHECK((one.get() == 50 && two.get() == 1));
  CHECK(submit() == 1);
  CHECK(pool.stats().accepted == 3);
}

TEST_CASE("chunks of every kind give the same results") {
  CheckedPool pool(2);
  std::vector<int> expected;
  for (int i = 0; i < 5000; ++i) expected.push_back(i * i);
  for (const auto chunking :
       {Chunking(), Chunking::fixed(7), Chunking::guided(), Chunking::factoring()}) {
    CHECK(pool.map(square, numbers(5000), chunking) == expected);
    CHECK(pool.map(square, numbers(1), chunking).size() == 1);
    std::vector<int> streamed;
    for (const int x : pool.imap(square, numbers(500), {.chunksize = chunking}))
      streamed.push_back(x);
    CHECK(streamed.size() == 500);
    CHECK(streamed.back() == 499 * 499);
  }
}

TEST_CASE("retries: a task that fails is started again, with its arguments") {
  if (left_out("a task ends its process")) return;
  CheckedPool pool(2);
  const TaskOptions options{.retries = 2};
  CHECK(pool.apply(options, third_time, 2, "short ") == "short 2");
  CHECK(pool.apply(options, third_time, 3, std::string(5000, 'x')) == std::string(5000, 'x') + "3");
  CHECK(pool.stats().retried == 3);
  CHECK(pool.apply(options, succeeds_at, 3) == 3);
  CHECK(pool.apply(options, succeeds_later_at, 3) == 3);
  CHECK(error_of([&] { pool.apply(options, succeeds_at, 9); }).find("3") != std::string::npos);
  CHECK_THROWS_AS(pool.apply(succeeds_at, 2), std::domain_error);  // none by default
  CHECK(pool.apply(succeeds_at, 1) == 1);
  const TaskOptions hurried{.timeout = 20ms, .grace = 20ms, .retries = 1};
  CHECK(pool.apply(hurried, too_slow_once, 5000) == -1);
}

TEST_CASE("retries in maps and streams: each item by itself, whatever the chunk") {
  CheckedPool pool(2);
  const TaskOptions options{.retries = 3};
  std::vector<int> times;
  for (int i = 0; i < 200; ++i) times.push_back(1 + i % 4);
  for (const auto chunk : {Chunking(1), Chunking(50), Chunking()}) {
    const auto attempts = pool.map(options, succeeds_at, times, chunk);
    const auto later = pool.map(options, succeeds_later_at, times, chunk);
    for (std::size_t i = 0; i < times.size(); ++i) {
      CHECK(attempts[i] == static_cast<unsigned>(times[i]));
      CHECK(later[i] == attempts[i]);
    }
  }
  times[7] = 5;
  CHECK_THROWS_AS(pool.map(options, succeeds_at, times), std::domain_error);
  auto stream = pool.imap(succeeds_at, std::vector<int>(30, 2), {.chunksize = 4, .task = options});
  unsigned sum = 0;
  while (auto attempt = stream.next()) sum += *attempt;
  CHECK(sum == 60);
}

TEST_CASE("an item that kills its worker each time ends, and the pool goes on (edge case 37)") {
  if (left_out("a task ends its process")) return;
  CheckedPool pool(2);
  const TaskOptions options{.retries = 3};
  const auto poison = [](int i) {
    if (i == 5) std::abort();
    return i;
  };
  CHECK_THROWS_AS(pool.map(options, poison, numbers(100)), pinion::WorkerLost);
  CHECK(pool.stats().completed == 99);
  CHECK(pool.stats().deaths == 4);
  CHECK_THROWS_AS(pool.apply(options, poison, 5), pinion::WorkerLost);
  CHECK(pool.stats().deaths == 8);
  CHECK(pool.apply(square, 3) == 9);
}

TEST_CASE("a task that is bound to a worker runs there, and in its successor") {
  if (left_out("a task ends its process")) return;
  CheckedPool pool(3);
  for (unsigned worker = 0; worker < 3; ++worker) {
    const TaskOptions options{.worker = worker};
    const auto where = [](int) { return pinion::this_worker::index(); };
    std::vector<pinion::AsyncResult<unsigned>> results;
    for (int i = 0; i < 300; ++i) results.push_back(pool.apply_async(options, where, i));
    for (auto& result : results) CHECK(result.get() == worker);
    for (const auto chunk : {Chunking(1), Chunking(40), Chunking()}) {
      for (const unsigned index : pool.map(options, where, numbers(500), chunk)) {
        CHECK(index == worker);
      }
    }
    CHECK(pool.apply(
              options, [](const std::string& text) { return text.size(); },
              std::string(100'000, 'x')) == 100'000);
  }
  // Its worker is busy and dies, while the others have nothing to do.
  const TaskOptions options{.worker = 1};
  auto busy = pool.apply_async(options, slow, 200);
  std::vector<pinion::AsyncResult<unsigned>> behind;
  for (int i = 0; i < 100; ++i) {
    behind.push_back(pool.apply_async(options, [] { return pinion::this_worker::index(); }));
  }
  auto cancelled = pool.apply_async(options, slow, 1);
  CHECK(cancelled.cancel());
  std::this_thread::sleep_for(20ms);
  ::kill(pool.workers().at(1).pid, SIGKILL);
  CHECK_THROWS_AS(busy.get(), pinion::WorkerLost);
  for (auto& result : behind) CHECK(result.get() == 1);
  CHECK_THROWS_AS(pool.apply(TaskOptions{.worker = 3}, square, 1), std::invalid_argument);
  CHECK_THROWS_AS(pool.map(TaskOptions{.worker = 3}, square, numbers(2)), std::invalid_argument);
}

TEST_CASE("bound tasks end with the pool, and with a worker that gets no successor") {
  {
    CheckedPool pool(2);
    std::vector<pinion::AsyncResult<int>> results;
    for (int i = 0; i < 200; ++i) {
      results.push_back(pool.apply_async(TaskOptions{.worker = 1}, slow, 5));
    }
    pool.terminate();
    pool.join();
    for (auto& result : results) CHECK(result.ready());
  }
  CheckedPool pool(PoolOptions{.processes = 2, .start_method = pinion::StartMethod::fork});
  const pid_t nursery = child_named("pinion-nursery");
  REQUIRE(nursery > 0);
  ::kill(nursery, SIGKILL);
  REQUIRE(eventually([&] { return pool.stats().nursery_lost; }));
  auto last = pool.apply_async(TaskOptions{.worker = 1}, slow, 1000);
  auto behind = pool.apply_async(TaskOptions{.worker = 1}, slow, 1);
  auto items = pool.map_async(TaskOptions{.worker = 1}, square, numbers(100));
  std::this_thread::sleep_for(20ms);
  ::kill(pool.workers().at(1).pid, SIGKILL);
  CHECK_THROWS_AS(last.get(10s), pinion::WorkerLost);
  CHECK_THROWS_AS(behind.get(10s), pinion::PoolTerminated);
  CHECK_THROWS_AS(items.get(10s), pinion::PoolTerminated);
  CHECK(pool.apply(square, 5) == 25);
}

TEST_CASE("broadcast runs once in every worker") {
  CheckedPool pool(3);
  const auto where = [](int x) { return pinion::this_worker::index() + static_cast<unsigned>(x); };
  CHECK(pool.broadcast(where, 10) == std::vector<unsigned>{10, 11, 12});
  CHECK(pool.broadcast(TaskOptions{.timeout = 10s}, where, 0) == std::vector<unsigned>{0, 1, 2});
  pool.broadcast([] {});
  const auto second_fails = [] {
    if (pinion::this_worker::index() != 0) {
      throw std::out_of_range(std::to_string(pinion::this_worker::index()));
    }
  };
  CHECK(error_of([&] { pool.broadcast(second_fails); }).find("1") != std::string::npos);
  CHECK(pool.stats().accepted == 12);
}
