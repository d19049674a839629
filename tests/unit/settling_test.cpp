// The end of a task seen from several threads, without workers: those who wait, those who drop
// their handles, and the one who settles.
#include <doctest/doctest.h>
#include <pinion/async_result.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/unit/workerless.hpp"

using namespace pinion;
using namespace pinion::tests;
using detail::EntryHandle;
using detail::LedgerEntry;

namespace {

/// Hands entries from one thread to another.
class Passage {
 public:
  void put(LedgerEntry* entry) {
    while (entry_.load(std::memory_order_relaxed) != nullptr) std::this_thread::yield();
    entry_.store(entry, std::memory_order_release);
  }
  LedgerEntry* get() {
    LedgerEntry* entry = nullptr;
    while ((entry = entry_.exchange(nullptr, std::memory_order_acquire)) == nullptr) {
      std::this_thread::yield();
    }
    return entry;
  }

 private:
  std::atomic<LedgerEntry*> entry_{nullptr};
};

}  // namespace

TEST_CASE("whether it is dropped before or after its end, an entry is given back once") {
  Workerless pool;
  constexpr std::uint64_t rounds = 40'000;
  Passage passage;
  std::thread settling([&] {
    for (std::uint64_t n = 0; n < rounds; ++n) pool.settle_value(*passage.get(), n);
  });
  std::set<LedgerEntry*> seen;
  std::minstd_rand random(1);
  for (std::uint64_t n = 0; n < rounds; ++n) {
    LedgerEntry& entry = pool.open();
    seen.insert(&entry);
    const EntryHandle handle(&entry);
    passage.put(&entry);
    for (auto i = random() % 300; i > 0; --i) os::pause();
  }
  settling.join();
  CHECK(seen.size() <= 1023);  // all came back, so no more were made
  CHECK(pool.state.pending == 0);
  CHECK(pool.state.counters.completed == rounds);
  CHECK(pool.all_different(3000));
}

TEST_CASE("of several handles the last gives it back, whichever that is") {
  Workerless pool;
  constexpr std::uint64_t rounds = 15'000;
  Passage to_settle;
  Passage to_drop;
  std::thread settling([&] {
    for (std::uint64_t n = 0; n < rounds; ++n) pool.settle_value(*to_settle.get(), n);
  });
  std::thread dropping([&] {
    for (std::uint64_t n = 0; n < rounds; ++n) const EntryHandle mine(to_drop.get());
  });
  std::set<LedgerEntry*> seen;
  std::minstd_rand random(2);
  for (std::uint64_t n = 0; n < rounds; ++n) {
    LedgerEntry& entry = pool.open();
    seen.insert(&entry);
    EntryHandle handle(&entry);
    // The other thread's handle is a copy; its count is handed over with the pointer.
    entry.more_handles.fetch_add(1, std::memory_order_relaxed);
    to_drop.put(&entry);
    to_settle.put(&entry);
    for (auto i = random() % 300; i > 0; --i) os::pause();
  }
  settling.join();
  dropping.join();
  CHECK(seen.size() <= 1023);
  CHECK(pool.all_different(3000));
}

TEST_CASE("whoever waits is told, sees the value, and may drop it at once") {
  Workerless pool;
  constexpr std::uint64_t rounds = 4'000;
  constexpr unsigned waiters = 3;
  std::array<Passage, waiters> passages;
  std::atomic<std::uint64_t> late{0};
  std::atomic<std::uint64_t> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < waiters; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t n = 0; n < rounds; ++n) {
        LedgerEntry& entry = pool.open();
        const EntryHandle handle(&entry);
        passages[t].put(&entry);
        const std::int64_t begin = os::now_ns();
        if (!pool.turns.wait_for(entry, begin + far_ns)) {
          ++late;
          return;
        }
        wrong += value_of(entry) != n * waiters + t ? 1 : 0;
      }
    });
  }
  std::thread settling([&] {
    std::minstd_rand random(3);
    for (std::uint64_t n = 0; n < rounds; ++n) {
      for (unsigned t = 0; t < waiters; ++t) {
        LedgerEntry* const entry = passages[t].get();
        for (auto i = random() % 200; i > 0; --i) os::pause();
        pool.settle_value(*entry, n * waiters + t);
      }
    }
  });
  for (auto& thread : threads) thread.join();
  settling.join();
  CHECK(late == 0);
  CHECK(wrong == 0);
  CHECK(pool.state.counters.late_wakeups == 0);
  CHECK(pool.state.baton.holder() == pool::Baton::Holder::nobody);
  CHECK_FALSE(pool.state.baton.wanted());
  CHECK(pool.all_different(3000));
}

TEST_CASE("many may wait for one entry, and all are told") {
  Workerless pool;
  for (std::uint64_t round = 0; round < 300; ++round) {
    LedgerEntry& entry = pool.open();
    const EntryHandle handle(&entry);
    std::atomic<int> told{0};
    std::vector<std::thread> waiters;
    for (int i = 0; i < 3; ++i) {
      waiters.emplace_back([&, copy = handle] {
        if (pool.turns.wait_for(copy.entry(), os::now_ns() + far_ns) &&
            value_of(copy.entry()) == round)
          ++told;
      });
    }
    if (round % 2 == 0) std::this_thread::yield();
    pool.settle_value(entry, round);
    for (auto& waiter : waiters) waiter.join();
    REQUIRE(told == 3);
  }
}

TEST_CASE("a wait ends at its limit, and the entry may end later") {
  Workerless pool;
  LedgerEntry& entry = pool.open();
  const EntryHandle handle(&entry);
  const std::int64_t begin = os::now_ns();
  CHECK_FALSE(pool.turns.wait_for(entry, begin + 20'000'000));
  CHECK(os::now_ns() - begin >= 20'000'000);
  CHECK(os::now_ns() - begin < far_ns / 2);
  CHECK(pool.state.baton.holder() == pool::Baton::Holder::nobody);
  pool.settle_value(entry, 5);
  CHECK(pool.turns.wait_for(entry, os::now_ns()));
}

TEST_CASE("when a callback runs, its entry has ended") {
  Workerless pool;
  constexpr int rounds = 20'000;
  std::atomic<int> ran{0};
  std::atomic<int> too_early{0};
  std::vector<LedgerEntry*> entries;
  const auto wait = [](const std::function<bool()>& reached) {
    while (!reached()) std::this_thread::yield();
  };
  for (int n = 0; n < rounds; ++n) {
    LedgerEntry& entry = pool.open();
    REQUIRE(pool.state.callbacks.expect(wait));
    {
      const pool::Locked lock(pool.state);
      pool::Settler::side_of(entry).callbacks.push_back([&, at = &entry] {
        too_early += at->done() ? 0 : 1;
        ++ran;
      });
    }
    entries.push_back(&entry);
    pool.settle_value(entry, 1);
  }
  pool.state.callbacks.stop();
  CHECK(ran == rounds);
  CHECK(too_early == 0);
  pool.settle([&] {
    for (LedgerEntry* entry : entries) pool.settler.release(*entry);
  });
}

TEST_CASE("an error that was settled is the entry's, and counts as failed") {
  Workerless pool;
  LedgerEntry& entry = pool.open();
  pool.settle([&] {
    pool.settler.local_error(entry, std::make_exception_ptr(std::out_of_range("too far")));
  });
  REQUIRE(entry.done());
  CHECK(entry.outcome == detail::Outcome::local_error);
  CHECK_THROWS_AS(detail::throw_error(entry), std::out_of_range);
  CHECK(pool.state.counters.failed == 1);
  CHECK(pool.state.counters.completed == 0);
  CHECK(pool.state.pending == 0);
  pool.settle([&] { pool.settler.release(entry); });
}
