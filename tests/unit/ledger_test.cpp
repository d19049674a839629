#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "lib/pool/ledger.hpp"
#include "tests/unit/count_allocations.hpp"

using namespace pinion;
using detail::LedgerEntry;
using pool::Ledger;

namespace {

std::uint64_t& mark_of(LedgerEntry& entry) { return *reinterpret_cast<std::uint64_t*>(entry.data); }

}  // namespace

TEST_CASE("entries are lines of their own, each out once, and know their ledger") {
  const auto ledger = Ledger::make();
  const auto other = Ledger::make();
  std::set<LedgerEntry*> out;
  for (int i = 0; i < 5000; ++i) {
    LedgerEntry& entry = ledger->take();
    CHECK(out.insert(&entry).second);
    CHECK(reinterpret_cast<std::uintptr_t>(&entry) % 64 == 0);
    CHECK(&Ledger::of(entry) == ledger.get());
  }
  CHECK(&Ledger::of(other->take()) == other.get());
}

TEST_CASE("an entry that comes back comes out as if it were new") {
  const auto ledger = Ledger::make();
  LedgerEntry* const used = &ledger->take();
  used->state = detail::entry_done | detail::entry_dropped | detail::entry_waited;
  used->more_handles = 3;
  used->outcome = detail::Outcome::value;
  used->bytes = 8;
  Ledger::give(*used);
  LedgerEntry* again = nullptr;
  for (int i = 0; i < 5000 && again != used; ++i) again = &ledger->take();
  REQUIRE(again == used);
  CHECK(again->state == 0);
  CHECK(again->more_handles == 0);
  CHECK(again->outcome == detail::Outcome::none);
  CHECK(again->bytes == 0);
  CHECK(again->side == nullptr);
}

TEST_CASE("entries that came back are used before more are made") {
  const auto ledger = Ledger::make();
  std::vector<LedgerEntry*> out;
  for (int i = 0; i < 3000; ++i) out.push_back(&ledger->take());
  const std::set<LedgerEntry*> known(out.begin(), out.end());
  std::mt19937 random(3);
  std::shuffle(out.begin(), out.end(), random);
  for (LedgerEntry* entry : out) Ledger::give(*entry);
  int made = 0;
  for (int i = 0; i < 3000; ++i) made += known.count(&ledger->take()) == 0 ? 1 : 0;
  CHECK(made <= 1023);  // what was left of the newest block of 64 KiB
}

TEST_CASE("once warm, taking and giving allocate nothing") {
  const auto ledger = Ledger::make();
  std::vector<LedgerEntry*> out;
  out.reserve(2000);
  const auto turn = [&] {
    for (int i = 0; i < 2000; ++i) out.push_back(&ledger->take());
    for (LedgerEntry* entry : out) Ledger::give(*entry);
    out.clear();
  };
  turn();
  const std::uint64_t before = tests::allocations();
  CHECK(before > 0);
  for (int i = 0; i < 200; ++i) turn();
  CHECK(tests::allocations() == before);
}

TEST_CASE("entries are given back by other threads while more are taken, and none is out twice") {
  constexpr std::uint64_t count = 200'000;
  const auto ledger = Ledger::make();
  std::mutex mutex;
  std::vector<LedgerEntry*> passed;  // to those who give back
  std::atomic<bool> all_taken{false};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> given{0};
  std::vector<std::thread> givers;
  for (unsigned g = 0; g < 3; ++g) {
    givers.emplace_back([&, g] {
      std::minstd_rand random(g);
      std::vector<LedgerEntry*> mine;
      for (;;) {
        const bool last = all_taken;
        {
          const std::lock_guard lock(mutex);
          const auto n = std::min<std::size_t>(passed.size(), 1 + random() % 64);
          mine.assign(passed.end() - static_cast<std::ptrdiff_t>(n), passed.end());
          passed.resize(passed.size() - n);
        }
        if (mine.empty() && last) return;
        for (LedgerEntry* entry : mine) {
          wrong += mark_of(*entry) == 0 ? 1 : 0;
          mark_of(*entry) = 0;  // whoever takes it next finds it so
          Ledger::give(*entry);
        }
        given += mine.size();
        std::this_thread::yield();
      }
    });
  }
  std::set<LedgerEntry*> seen;
  for (std::uint64_t n = 1; n <= count; ++n) {
    LedgerEntry& entry = ledger->take();
    if (seen.insert(&entry).second) mark_of(entry) = 0;
    wrong += mark_of(entry) != 0 ? 1 : 0;
    mark_of(entry) = n;
    const std::lock_guard lock(mutex);
    passed.push_back(&entry);
  }
  all_taken = true;
  for (auto& giver : givers) giver.join();
  CHECK(wrong == 0);
  CHECK(given == count);
}

// Of the two cases that follow the address sanitizer is the judge: a ledger that goes too early is
// used after it is freed, and one that never goes is a leak.

TEST_CASE("an ended pool's ledger goes with the last entry, whoever brings it back") {
  for (int round = 0; round < 300; ++round) {
    Ledger* const ledger = Ledger::make().release();
    std::vector<LedgerEntry*> out;
    for (int i = 0; i < 12; ++i) out.push_back(&ledger->take());
    Ledger::give(*out[0]);
    Ledger::give(*out[1]);
    std::atomic<bool> go{false};
    std::vector<std::thread> handles;
    for (std::size_t t = 0; t < 2; ++t) {
      handles.emplace_back([&, t] {
        while (!go) std::this_thread::yield();
        for (std::size_t i = 2 + t; i < 12; i += 2) Ledger::give(*out[i]);
      });
    }
    go = true;
    if (round % 3 == 0) std::this_thread::yield();
    ledger->orphan();
    for (auto& handle : handles) handle.join();
  }
}

TEST_CASE("an ended pool's ledger goes at once where nothing is out") {
  Ledger* const fresh = Ledger::make().release();
  fresh->orphan();
  Ledger* const used = Ledger::make().release();
  LedgerEntry& one = used->take();
  LedgerEntry& two = used->take();
  Ledger::give(one);
  Ledger::give(two);
  used->orphan();
}
