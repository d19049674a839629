// TaskOptions::fail_fast and wait_when_full, and chunks of every kind.
#include <doctest/doctest.h>

#include <numeric>
#include <stdexcept>

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

}  // namespace

TEST_CASE("fail_fast: an item that fails ends what has not started") {
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

TEST_CASE("without fail_fast all items run") {
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
