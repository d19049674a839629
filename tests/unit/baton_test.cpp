#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "lib/os/clock.hpp"
#include "lib/os/cpu.hpp"
#include "lib/pool/baton.hpp"

using namespace pinion;
using pool::Baton;
using Holder = Baton::Holder;
using Waiter = Baton::Waiter;

namespace {

constexpr std::int64_t for_ever_ns = 5'000'000'000;

/// Waits for the baton. False if nobody handed it on for far too long.
bool take(Baton& baton, bool urgent) {
  if (baton.try_take(Holder::caller)) return true;
  Waiter waiter;
  waiter.urgent = urgent;
  baton.enlist(waiter);
  const std::int64_t deadline = os::now_ns() + for_ever_ns;
  for (;;) {
    if (baton.try_take(Holder::caller)) break;
    Baton::sleep(waiter, deadline);
    if (waiter.word.load(std::memory_order_acquire) == Waiter::handed) break;
    if (os::now_ns() >= deadline) return baton.delist(waiter) && false;
  }
  baton.delist(waiter);
  return true;
}

}  // namespace

TEST_CASE("the baton is taken by one, and free when that one leaves") {
  Baton baton;
  CHECK(baton.holder() == Holder::nobody);
  CHECK(baton.try_take(Holder::service));
  CHECK(baton.holder() == Holder::service);
  CHECK_FALSE(baton.try_take(Holder::caller));
  CHECK_FALSE(baton.try_take(Holder::service));
  baton.leave();
  CHECK(baton.holder() == Holder::nobody);
  CHECK(baton.try_take(Holder::caller));
}

TEST_CASE("it is handed to those on the list, the urgent first, then in their order") {
  Baton baton;
  REQUIRE(baton.try_take(Holder::service));
  CHECK_FALSE(baton.wanted());
  Waiter first;
  Waiter second;
  Waiter urgent;
  urgent.urgent = true;
  baton.enlist(first);
  CHECK(baton.wanted());
  CHECK_FALSE(baton.urgently_wanted());
  baton.enlist(second);
  baton.enlist(urgent);
  CHECK(baton.urgently_wanted());
  for (Waiter* const next : {&urgent, &first, &second}) {
    CHECK(next->word == Waiter::waiting);
    baton.leave();
    CHECK(next->word == Waiter::handed);
    CHECK(baton.holder() == Holder::caller);
    CHECK_FALSE(baton.try_take(Holder::caller));
    CHECK_FALSE(baton.urgently_wanted());
    CHECK(baton.delist(*next));  // it owns it now
  }
  CHECK_FALSE(baton.wanted());
  baton.leave();
  CHECK(baton.holder() == Holder::nobody);
}

TEST_CASE("who has left the list is not handed it") {
  Baton baton;
  REQUIRE(baton.try_take(Holder::caller));
  std::array<Waiter, 3> waiters;
  for (Waiter& waiter : waiters) baton.enlist(waiter);
  CHECK_FALSE(baton.delist(waiters[1]));
  CHECK_FALSE(baton.delist(waiters[0]));
  baton.leave();
  CHECK(waiters[0].word == Waiter::waiting);
  CHECK(waiters[1].word == Waiter::waiting);
  CHECK(baton.delist(waiters[2]));
  baton.enlist(waiters[1]);  // it may come back
  baton.leave();
  CHECK(baton.delist(waiters[1]));
}

TEST_CASE("those who wait for a thing are all told of it, and no others") {
  Baton baton;
  REQUIRE(baton.try_take(Holder::caller));
  const int thing = 0;
  const int other = 0;
  std::array<Waiter, 4> waiters;
  for (std::size_t i = 0; i < 4; ++i) {
    waiters[i].subject = i % 2 == 0 ? &thing : &other;
    baton.enlist(waiters[i]);
  }
  baton.tell(&thing);
  CHECK(waiters[0].word == Waiter::told);
  CHECK(waiters[1].word == Waiter::waiting);
  CHECK(waiters[2].word == Waiter::told);
  CHECK(waiters[3].word == Waiter::waiting);
  CHECK_FALSE(baton.delist(waiters[0]));
  CHECK_FALSE(baton.delist(waiters[2]));
  baton.tell(&other);
  CHECK_FALSE(baton.wanted());
  baton.leave();  // nobody is left to be handed it
  CHECK(baton.holder() == Holder::nobody);
  baton.tell(&thing);
}

TEST_CASE("a sleep ends when it was handed, told, or too late") {
  Waiter waiter;
  const std::int64_t begin = os::now_ns();
  Baton::sleep(waiter, begin + 20'000'000);
  CHECK(os::now_ns() - begin >= 19'000'000);
  waiter.word = Waiter::told;
  Baton::sleep(waiter, os::now_ns() + for_ever_ns);
  CHECK(os::now_ns() - begin < for_ever_ns / 2);
}

TEST_CASE("however many compete, one has it, and each gets it") {
  constexpr unsigned threads = 4;
  constexpr int rounds = 25'000;
  Baton baton;
  std::atomic<unsigned> owners{0};
  std::atomic<bool> failed{false};
  std::uint64_t counted = 0;  // the owner's: a race here is one of the baton
  std::vector<std::thread> all;
  for (unsigned t = 0; t < threads; ++t) {
    all.emplace_back([&, t] {
      std::minstd_rand random(t);
      for (int i = 0; i < rounds && !failed.load(std::memory_order_relaxed); ++i) {
        if (!take(baton, random() % 16 == 0)) {
          failed = true;
          return;
        }
        if (owners.fetch_add(1) != 0) failed = true;
        ++counted;
        for (auto n = random() % 30; n > 10; --n) os::pause();
        if (random() % 64 == 0) std::this_thread::yield();
        owners.fetch_sub(1);
        baton.leave();
        for (auto n = random() % 60; n > 30; --n) os::pause();
      }
    });
  }
  for (auto& thread : all) thread.join();
  CHECK_FALSE(failed);
  CHECK(counted == threads * rounds);
  CHECK(baton.holder() == Holder::nobody);
  CHECK_FALSE(baton.wanted());
}

namespace {

/// A pool in small: requests that somebody answers, and callers who collect the answers for all.
class Desk {
 public:
  static constexpr unsigned callers = 4;

  /// A caller's request, until it is collected by whoever has the baton. False after far too long.
  bool request(unsigned caller, std::uint64_t number) {
    lines_[caller].asked.store(number, std::memory_order_release);
    const auto reached = [&] {
      return lines_[caller].collected.load(std::memory_order_acquire) == number;
    };
    const std::int64_t deadline = os::now_ns() + for_ever_ns;
    Waiter waiter;
    waiter.subject = &lines_[caller];
    while (os::now_ns() < deadline) {
      if (baton_.try_take(Holder::caller)) return collect_until(reached, deadline);
      baton_.enlist(waiter);
      bool own = false;
      while (!own && !reached()) {
        own = baton_.try_take(Holder::caller);
        if (own || os::now_ns() >= deadline) break;
        Baton::sleep(waiter, deadline);
        if (waiter.word.load(std::memory_order_acquire) != Waiter::waiting) break;
      }
      own |= baton_.delist(waiter);
      if (own) return collect_until(reached, deadline);
      if (reached()) return true;
    }
    return false;
  }
  /// The other side: answers one round of what was asked. False when all have ended.
  bool answer() {
    bool more = false;
    for (Line& line : lines_) {
      const std::uint64_t asked = line.asked.load(std::memory_order_acquire);
      line.answered.store(asked, std::memory_order_release);
      more |= asked != ended;
    }
    return more;
  }
  void end(unsigned caller) { lines_[caller].asked.store(ended); }
  std::uint64_t collected() const { return collected_; }

 private:
  static constexpr std::uint64_t ended = ~std::uint64_t{0};
  struct alignas(128) Line {
    std::atomic<std::uint64_t> asked{0};
    std::atomic<std::uint64_t> answered{0};
    std::atomic<std::uint64_t> collected{0};
  };

  template <class Reached>
  bool collect_until(Reached&& reached, std::int64_t deadline) {
    while (!reached() && os::now_ns() < deadline) {
      for (Line& line : lines_) {
        const std::uint64_t answered = line.answered.load(std::memory_order_acquire);
        if (answered == line.collected.load(std::memory_order_relaxed)) continue;
        ++collected_;
        line.collected.store(answered, std::memory_order_release);
        baton_.tell(&line);
      }
      std::this_thread::yield();
    }
    const bool in_time = reached();
    baton_.leave();
    return in_time;
  }

  Baton baton_;
  std::array<Line, callers> lines_;
  std::uint64_t collected_ = 0;  // the owner's
};

}  // namespace

TEST_CASE("nobody sleeps for ever while callers collect for each other") {
  constexpr std::uint64_t rounds = 8'000;
  Desk desk;
  std::atomic<int> stuck{0};
  std::thread answering([&] {
    while (desk.answer()) std::this_thread::yield();
  });
  std::vector<std::thread> callers;
  for (unsigned c = 0; c < Desk::callers; ++c) {
    callers.emplace_back([&, c] {
      for (std::uint64_t n = 1; n <= rounds && stuck == 0; ++n) {
        if (!desk.request(c, n)) ++stuck;
      }
      desk.end(c);
    });
  }
  for (auto& caller : callers) caller.join();
  answering.join();
  CHECK(stuck == 0);
  CHECK(desk.collected() >= Desk::callers * rounds);
}
