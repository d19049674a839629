// Workers that are replaced although nothing has happened to them: `max_tasks_per_child` and
// `max_rss_per_child`.
#include <doctest/doctest.h>
#include <unistd.h>

#include <map>
#include <set>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;

namespace {

struct Where {
  unsigned worker = 0;
  std::uint32_t generation = 0;
  int pid = 0;
  int item = 0;
};

Where where(int item) {
  return {pinion::this_worker::index(), pinion::this_worker::generation(), ::getpid(), item};
}

pinion::Task<Where> where_later(int item) {
  co_await pinion::sleep_for(1ms);
  co_return where(item);
}

Where where_slowly(int item) {
  std::this_thread::sleep_for(1ms);
  return where(item);
}

/// How many items each process has had.
template <class Range>
std::map<int, unsigned> items_by_process(const Range& items) {
  std::map<int, unsigned> counts;
  for (const Where& item : items) ++counts[item.pid];
  return counts;
}

/// Every process but the last of each worker has had exactly `count`, and that one not more.
template <class Range>
void check_counts(const Range& items, unsigned count) {
  std::map<unsigned, std::uint32_t> last;
  for (const Where& item : items) {
    last[item.worker] = std::max(last[item.worker], item.generation);
  }
  std::map<std::pair<unsigned, std::uint32_t>, unsigned> counts;
  for (const Where& item : items) ++counts[{item.worker, item.generation}];
  for (const auto& [process, n] : counts) {
    CAPTURE(process.first);
    CAPTURE(process.second);
    CHECK(n <= count);
    if (process.second != last[process.first]) CHECK(n == count);
  }
}

std::size_t kept_bytes() {
  static std::vector<std::vector<char>> kept;
  kept.emplace_back(std::size_t{8} << 20, 'x');
  return kept.size();
}

}  // namespace

TEST_CASE("a process starts exactly so many single tasks (edge case 41)") {
  NothingLeft nothing;
  std::vector<Where> seen;
  {
    CheckedPool pool(PoolOptions{.processes = 2, .max_tasks_per_child = 3});
    std::vector<pinion::AsyncResult<Where>> results;
    for (int i = 0; i < 40; ++i) results.push_back(pool.apply_async(where, i));
    for (auto& result : results) seen.push_back(result.get());
    CHECK(pool.stats().deaths == 0);
    CHECK(pool.stats().recycled >= 12);
  }
  check_counts(seen, 3);
  CHECK(items_by_process(seen).size() >= 14);
}

TEST_CASE("a process of one task: each call has its own") {
  CheckedPool pool(PoolOptions{.processes = 1, .max_tasks_per_child = 1});
  std::set<int> processes;
  for (int i = 0; i < 10; ++i) processes.insert(pool.apply(where, i).pid);
  CHECK(processes.size() == 10);
}

TEST_CASE("of a map the items count, whatever the chunks (edge case 41)") {
  for (const int chunk : {0, 1, 4, 7, 100}) {
    CAPTURE(chunk);
    CheckedPool pool(PoolOptions{.processes = 2, .max_tasks_per_child = 10});
    const auto chunking = chunk == 0 ? pinion::Chunking{} : pinion::Chunking(chunk);
    const auto seen = pool.map(where_slowly, numbers(95), chunking);
    for (int i = 0; i < 95; ++i) CHECK(seen[static_cast<std::size_t>(i)].item == i);
    check_counts(seen, 10);
    CHECK(pool.stats().deaths == 0);
  }
}

TEST_CASE("with coroutines in flight no process starts more (edge case 41)") {
  CheckedPool pool(PoolOptions{.processes = 2, .child_concurrency = 16, .max_tasks_per_child = 5});
  const auto seen = pool.map(where_later, numbers(83));
  check_counts(seen, 5);
  std::vector<Where> singles;
  std::vector<pinion::AsyncResult<Where>> results;
  for (int i = 0; i < 40; ++i) results.push_back(pool.apply_async(where_later, i));
  for (auto& result : results) singles.push_back(result.get());
  for (const auto& [pid, count] : items_by_process(singles)) CHECK(count <= 5);
}

TEST_CASE("after close workers are still replaced (edge case 41)") {
  NothingLeft nothing;
  CheckedPool pool(PoolOptions{.processes = 1, .max_tasks_per_child = 1});
  std::vector<pinion::AsyncResult<Where>> results;
  for (int i = 0; i < 8; ++i) results.push_back(pool.apply_async(where, i));
  pool.close();
  pool.join();
  std::set<int> processes;
  for (auto& result : results) processes.insert(result.get().pid);
  CHECK(processes.size() == 8);
}

TEST_CASE("a task that is taken back does not count") {
  CheckedPool pool(PoolOptions{.processes = 1, .max_tasks_per_child = 4});
  auto first = pool.apply_async([] {
    std::this_thread::sleep_for(50ms);
    return ::getpid();
  });
  auto taken_back = pool.apply_async(where, 1);
  const bool cancelled = taken_back.cancel();
  CHECK(cancelled);
  std::vector<int> processes{first.get()};
  for (int i = 0; i < 3; ++i) processes.push_back(pool.apply(where, i).pid);
  CHECK(std::set<int>(processes.begin(), processes.end()).size() == 1);
  CHECK(pool.apply(where, 9).pid != processes[0]);
}

TEST_CASE("streams and bound tasks go on over the replacements") {
  CheckedPool pool(PoolOptions{.processes = 2, .max_tasks_per_child = 2});
  int sum = 0;
  for (const Where& item : pool.imap(where, numbers(50))) sum += item.item;
  CHECK(sum == 49 * 50 / 2);
  for (int i = 0; i < 5; ++i) {
    for (const Where& each : pool.broadcast(where, i)) CHECK(each.item == i);
  }
}

TEST_CASE("a worker that has grown too large is replaced, between tasks") {
  NothingLeft nothing;
  constexpr std::size_t room = std::size_t{256} << 20;
  CheckedPool pool(PoolOptions{.processes = 1, .max_rss_per_child = room});
  const int before = pool.apply(::getpid);
  std::size_t most = 0;
  for (int i = 0; i < 100; ++i) {
    const std::size_t kept = pool.apply(kept_bytes);
    most = std::max(most, kept);
    std::this_thread::sleep_for(2ms);
  }
  CHECK(pool.apply(::getpid) != before);
  CHECK(pool.stats().recycled >= 2);
  CHECK(pool.stats().deaths == 0);
  CHECK(most <= room / (std::size_t{8} << 20) + 2);
}

TEST_CASE("what a worker that has grown too large had not started goes to its successor") {
  CheckedPool pool(PoolOptions{.processes = 1, .max_rss_per_child = std::size_t{128} << 20});
  std::vector<pinion::AsyncResult<std::size_t>> results;
  for (int i = 0; i < 100; ++i) {
    results.push_back(pool.apply_async([] {
      std::this_thread::sleep_for(2ms);
      return kept_bytes();
    }));
  }
  std::size_t most = 0;
  for (auto& result : results) most = std::max(most, result.get());
  CHECK(most < 40);
  CHECK(pool.stats().recycled >= 2);
}
