// F1, F2, P2, P3: a worker dies in the middle of a chunk. What had ended keeps its value, what had
// not started runs elsewhere, once; only what ran is lost.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "tests/contract/checks.hpp"
#include "tests/fault/bystander.hpp"
#include "tests/fault/chunk_items.hpp"
#include "tests/fault/ways.hpp"
#include "tests/fault/workers.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::WorkerLost;

namespace {

struct Outcome {
  std::uint64_t lost = 0;    // items
  std::uint64_t lowest = 0;  // of them
  std::uint64_t deaths = 0;
};

/// Runs a map that is to fail by a death, and checks what is true of each such map.
template <class F, class Items>
Outcome map_with_a_death(CheckedPool& pool, F f, const Items& items, pinion::Chunking chunking) {
  const auto before = pool.stats();
  Outcome outcome;
  auto result = pool.map_async(f, items, chunking);
  REQUIRE(result.wait(20s));
  try {
    result.get();
    FAIL("it must throw");
  } catch (const WorkerLost& lost) {
    REQUIRE(lost.item());
    outcome.lowest = *lost.item();
    CHECK(lost.status() == pinion::ExitStatus::signaled(SIGKILL));
  }
  const auto after = pool.stats();
  outcome.lost = after.failed - before.failed;
  CHECK(outcome.lost + (after.completed - before.completed) == items.size());
  outcome.deaths = after.deaths - before.deaths;
  return outcome;
}

/// What was not lost ran to its end, once; what was lost began at most once.
template <class Lost>
void check_once(std::size_t n, Lost lost) {
  std::vector<std::size_t> wrong;
  for (std::size_t i = 0; i < n; ++i) {
    const bool right = lost(i) ? traces.started[i] <= 1 && traces.ended[i] <= traces.started[i]
                               : traces.started[i] == 1 && traces.ended[i] == 1;
    if (!right) wrong.push_back(i);
  }
  CHECK(wrong == std::vector<std::size_t>());
}

/// As above, where what was lost lies side by side.
void check_once(std::size_t n, const Outcome& outcome) {
  check_once(
      n, [&](std::size_t i) { return i >= outcome.lowest && i < outcome.lowest + outcome.lost; });
}

void reset(int dies_at, int throws_at = -1) {
  traces.clear();
  plan->dies_at = dies_at;
  plan->throws_at = throws_at;
}

template <class F, class Items>
void kill_at_every_long_item(F f, const Items& items) {
  NothingLeft nothing;
  CheckedPool pool(2);
  constexpr int chunk = 16;
  for (int k = 0; k < 2 * chunk; ++k) {
    CAPTURE(k);
    reset(k);
    const Outcome outcome = map_with_a_death(pool, f, items, chunk);
    CHECK(outcome.lost == 1);
    CHECK(outcome.lowest == static_cast<std::uint64_t>(k));
    CHECK(outcome.deaths == 1);
    CHECK(traces.started[static_cast<std::size_t>(k)] == 1);
    check_once(items.size(), outcome);
  }
  check_rest(pool);
}

std::vector<std::string> texts(int n) {
  std::vector<std::string> found;
  for (int i = 0; i < n; ++i) found.push_back(std::to_string(i));
  return found;
}

}  // namespace

TEST_CASE_FIXTURE(
    NothingLeft,
    "at whatever long item of a chunk a worker dies, that item is lost, and no other") {
  SUBCASE("results of one size") { kill_at_every_long_item(long_fixed, numbers(32)); }
  SUBCASE("results of many sizes") { kill_at_every_long_item(long_variable, numbers(32)); }
  SUBCASE("arguments and results of many sizes") { kill_at_every_long_item(long_text, texts(32)); }
}

namespace {

template <class F>
void kill_at_every_short_item(F f) {
  NothingLeft nothing;
  CheckedPool pool(2);
  // Costs are known once a chunk has ended, and only then are items taken by strips.
  constexpr int chunk = 32;
  constexpr int n = 100 * chunk;
  const auto items = numbers(n);
  int strips = 0;
  for (int k = n / 2; k < n / 2 + chunk; ++k) {
    CAPTURE(k);
    reset(k);
    const Outcome outcome = map_with_a_death(pool, f, items, chunk);
    CHECK(outcome.lost >= 1);
    CHECK(outcome.lost <= 32);
    CHECK(outcome.lowest <= static_cast<std::uint64_t>(k));
    CHECK(static_cast<std::uint64_t>(k) < outcome.lowest + outcome.lost);
    CHECK(outcome.deaths == 1);
    check_once(items.size(), outcome);
    strips += outcome.lost > 1;
  }
  std::printf("%d of %d deaths cost more than their item\n", strips, chunk);
  CHECK(strips > 0);  // or no strip has been seen
  check_rest(pool);
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft,
                  "at whatever short item of a chunk a worker dies, its strip is lost at most") {
  SUBCASE("results of one size") { kill_at_every_short_item(short_fixed); }
  SUBCASE("results of many sizes") { kill_at_every_short_item(short_variable); }
}

TEST_CASE_FIXTURE(NothingLeft, "an item that kills by being decoded or encoded is lost alone") {
  CheckedPool pool(2);
  constexpr int chunk = 8;
  for (const Deadly deadly : {Deadly::decoding, Deadly::encoding}) {
    for (int k = 0; k < 2 * chunk; ++k) {
      CAPTURE(k);
      reset(-1);
      const auto items = many_numbers(2 * chunk, k, deadly);
      const Outcome outcome = map_with_a_death(pool, pass_on, items, chunk);
      CHECK(outcome.lost == 1);
      CHECK(outcome.lowest == static_cast<std::uint64_t>(k));
      CHECK(outcome.deaths == 1);
      CHECK(traces.decoded[static_cast<std::size_t>(k)] == 1);
      check_once(items.size(), outcome);
    }
  }
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft, "where each item kills, each is lost, and the map ends") {
  CheckedPool pool(2);
  for (const int chunk : {1, 4, 16}) {
    reset(-1);
    const auto f = [](int i) {
      begin_item(i);
      die(Way::kill);
      return i;
    };
    const Outcome outcome = map_with_a_death(pool, f, numbers(16), chunk);
    CHECK(outcome.lost == 16);
    CHECK(outcome.lowest == 0);
    CHECK(outcome.deaths == 16);
    for (std::size_t i = 0; i < 16; ++i) CHECK(traces.started[i] == 1);
  }
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft, "several killers in one chunk cost themselves and nobody else") {
  CheckedPool pool(2);
  const auto f = [](int i) {
    begin_item(i);
    spend(20us);
    if (i % 5 == 3) die(Way::kill);
    end_item(i);
    return i;
  };
  for (const int chunk : {8, 32}) {
    reset(-1);
    const Outcome outcome = map_with_a_death(pool, f, numbers(32), chunk);
    CHECK(outcome.lost == 6);
    CHECK(outcome.lowest == 3);
    CHECK(outcome.deaths == 6);
    check_once(32, [](std::size_t i) { return i % 5 == 3; });
    for (std::size_t i = 0; i < 32; ++i) CHECK(traces.started[i] == 1);
  }
  check_rest(pool);
}

TEST_CASE_FIXTURE(
    NothingLeft,
    "the error of the lowest item is told, be it the item's own or its worker's death") {
  CheckedPool pool(2);
  for (int k = 1; k < 16; k += 3) {
    for (const int thrower : {0, 7, 15}) {
      if (thrower == k) continue;
      CAPTURE(k);
      CAPTURE(thrower);
      reset(k, thrower);
      auto result = pool.map_async(long_variable, numbers(16), 16);
      REQUIRE(result.wait(20s));
      if (thrower < k) {
        CHECK_THROWS_AS(result.get(), std::out_of_range);
      } else {
        CHECK_THROWS_AS(result.get(), WorkerLost);
      }
      for (std::size_t i = 0; i < 16; ++i) CHECK(traces.started[i] == 1);
    }
  }
}

TEST_CASE_FIXTURE(NothingLeft, "in automatic maps too only what ran is lost") {
  CheckedPool pool(2);
  auto random = seeded();
  for (int round = 0; round < 10; ++round) {
    const int k = static_cast<int>(random() % 2000);
    CAPTURE(k);
    reset(k);
    const Outcome slow = map_with_a_death(pool, long_variable, numbers(2000), {});
    CHECK(slow.lost == 1);
    CHECK(slow.lowest == static_cast<std::uint64_t>(k));
    check_once(2000, slow);
    reset(k);
    const Outcome quick = map_with_a_death(pool, short_fixed, numbers(20000), {});
    CHECK(quick.lost <= 32);
    check_once(20000, quick);
  }
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "a worker that dies in a chunk harms no sibling, by whatever way it dies") {
  CheckedPool pool(2);
  Bystander bystander(pool);
  std::uint64_t deaths = 0;
  for (const Way way : ways) {
    CAPTURE(name_of(way));
    reset(-1);
    const auto f = [way](int i) {
      begin_item(i);
      spend(20us);
      if (i == 5) die(way);
      end_item(i);
      return i;
    };
    auto result = pool.map_async(f, numbers(12), 12);
    try {
      result.get(20s);
      FAIL_CHECK("it must throw");
    } catch (const WorkerLost& lost) {
      CHECK(lost.item() == 5);
      CHECK(lost.status() == status_of(way));
    }
    check_once(12, [](std::size_t i) { return i == 5; });
    REQUIRE(replaced(pool, ++deaths));
    CHECK(bystander.gets_on());
  }
  bystander.leave();
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "a chunk whose callable kills costs one item a death, and the map ends") {
  CheckedPool pool(2);
  const Outcome outcome = map_with_a_death(pool, DeadlyCallable{"deadly"}, numbers(6), 3);
  CHECK(outcome.lost == 6);
  CHECK(outcome.lowest == 0);
  CHECK(outcome.deaths == 6);
  check_rest(pool);
}

namespace {

/// Items that wait a while, differently long, so that some are done, some run and some have not
/// begun when one of them kills after its first await.
pinion::Task<int> awaiting(int i) {
  traces.started[static_cast<std::size_t>(i)].fetch_add(1, std::memory_order_relaxed);
  for (int k = 0; k <= i % 3; ++k) co_await pinion::sleep_for(200us);
  if (plan->dies_at == i) die(Way::kill);
  co_await pinion::sleep_for(200us);
  end_item(i);
  co_return i;
}
pinion::Task<std::string> awaiting_text(int i) {
  co_return std::string(static_cast<std::size_t>(co_await awaiting(i) % 40), 'a');
}
pinion::Task<Number> awaiting_number(Number n) {
  co_await awaiting(n.i);
  co_return n;
}

/// What had begun and not ended, in the worker that died, is lost; all else has ended, once.
template <class F, class Items>
void check_coroutines(CheckedPool& pool, F f, const Items& items, int chunk, int k) {
  CAPTURE(k);
  const Outcome outcome = map_with_a_death(pool, f, items, chunk);
  CHECK(outcome.deaths == 1);
  std::vector<std::size_t> lost;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (traces.ended[i] == 0) lost.push_back(i);
  }
  CHECK(outcome.lost == lost.size());
  CHECK(outcome.lowest == lost.at(0));
  CHECK(std::find(lost.begin(), lost.end(), static_cast<std::size_t>(k)) != lost.end());
  check_once(items.size(), [&](std::size_t i) { return traces.ended[i] == 0; });
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft, "of a chunk of coroutines those in flight are lost, and no others") {
  CheckedPool pool(PoolOptions{.processes = 2, .child_concurrency = 4});
  constexpr int chunk = 8;
  for (int k = 0; k < 2 * chunk; ++k) {
    reset(k);
    check_coroutines(pool, awaiting, numbers(2 * chunk), chunk, k);
    reset(k);
    check_coroutines(pool, awaiting_text, numbers(2 * chunk), chunk, k);
  }
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "a coroutine item that kills by being decoded or encoded does so once") {
  CheckedPool pool(PoolOptions{.processes = 2, .child_concurrency = 4});
  constexpr int chunk = 8;
  for (const Deadly deadly : {Deadly::decoding, Deadly::encoding}) {
    for (int k = 0; k < chunk; ++k) {
      CAPTURE(static_cast<int>(deadly));
      CAPTURE(k);
      reset(-1);
      const auto items = many_numbers(2 * chunk, k, deadly);
      const Outcome outcome = map_with_a_death(pool, awaiting_number, items, chunk);
      CHECK(outcome.deaths == 1);
      CHECK(outcome.lost >= 1);
      CHECK(outcome.lost <= 4);
      CHECK(traces.decoded[static_cast<std::size_t>(k)] == 1);
      std::vector<std::size_t> again;
      for (std::size_t i = 0; i < items.size(); ++i) {
        if (traces.started[i] > 1 || traces.decoded[i] > 1) again.push_back(i);
      }
      CHECK(again == std::vector<std::size_t>());
    }
  }
  check_rest(pool);
}
