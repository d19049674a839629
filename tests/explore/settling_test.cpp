// The end of a task against those who wait for it and those who drop it, in every order: it is
// given back once, nobody is left asleep, and the baton does not lie about while somebody waits.
#include <doctest/doctest.h>
#include <pinion/detail/entry.hpp>

#include <array>
#include <cstdint>

#include "lib/pool/baton_code.hpp"
#include "lib/ring/bell.hpp"
#include "tests/explore/expect.hpp"
#include "tests/support/seed.hpp"

using namespace explore;
using pinion::ring::Fencing;
namespace detail = pinion::detail;
namespace pool = pinion::pool;
namespace ring = pinion::ring;

namespace {

/// What is done wrong on purpose.
enum class Wrong { nothing, no_announcement, told_before_end };

/// An entry, as far as this goes.
template <class A>
struct Entry {
  typename A::template Word<std::uint32_t> state;
  typename A::template Word<std::uint32_t> data;
};

/// The last handle goes while the entry ends. Whoever gives it back overwrites it.
template <class A>
struct DropAndEnd {
  static constexpr unsigned threads = 2;
  Entry<A> entry;
  std::array<unsigned, 2> given{};

  void run(unsigned thread) {
    if (thread == 0) {
      entry.data.store(7, std::memory_order_relaxed);
      if ((detail::set_ended(entry.state) & detail::entry_dropped) != 0) give(0);
    } else if (detail::set_dropped(entry.state)) {
      require(entry.data.load(std::memory_order_relaxed) == 7, "it has ended, and has no value");
      give(1);
    }
  }
  void give(unsigned thread) {
    ++given[thread];
    entry.data.store(0, std::memory_order_relaxed);  // its next user's
  }
  void check() {
    require(given[0] + given[1] == 1, "an entry is given back twice, or never");
    require(entry.data.load() == 0, "a value is stored into an entry that was given back");
  }
};

/// Threads that each want the baton once, and sleep until they have it.
template <class A, unsigned count>
struct HandOver {
  static constexpr unsigned threads = count;
  using Baton = pool::BasicBaton<A, Mutex>;
  using Waiter = typename Baton::Waiter;

  Baton baton;
  std::array<Waiter, count> waiting;
  typename A::template Word<std::uint32_t> turns;  // what the baton guards
  unsigned inside = 0;

  void run(unsigned thread) {
    if (!baton.try_take(Baton::Holder::caller)) {
      Waiter& waiter = waiting[thread];
      baton.enlist(waiter);
      bool own = baton.try_take(Baton::Holder::caller);
      while (!own && waiter.word.load(std::memory_order_acquire) == Waiter::waiting) {
        Baton::sleep(waiter, 0);
      }
      own |= baton.delist(waiter);
      require(own, "it was woken without the baton");
    }
    require(++inside == 1, "two have the baton");
    turns.store(turns.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    --inside;
    baton.leave();
  }
  void check() {
    require(turns.load() == count, "one did not see what the one before it did");
    require(baton.holder() == Baton::Holder::nobody, "the baton was not left");
  }
};

/// Waiting, as in lib/pool/turns.cpp, but without spinning, and without a backstop: a wake-up that
/// is lost is lost. `Pool` has `collect()` and `any_results()`, for the baton's owner.
template <class A, Fencing fencing, class Pool>
class Turns {
 public:
  using Baton = pool::BasicBaton<A, Mutex>;
  using Holder = typename Baton::Holder;
  using Waiter = typename Baton::Waiter;
  using Bell = ring::BasicBell<A>;

  template <class Announce, class Reached>
  void wait(Waiter& waiter, Announce announce, Reached reached) {
    for (;;) {
      if (baton.try_take(Holder::caller) && collect_until(reached)) return;
      baton.enlist(waiter);
      announce();
      bool own = false;
      while (!own && !reached()) {
        own = baton.try_take(Holder::caller);
        if (own) break;
        Baton::sleep(waiter, 0);
        if (waiter.word.load(std::memory_order_acquire) != Waiter::waiting) break;
      }
      own |= baton.delist(waiter);
      if (own ? collect_until(reached) : reached()) return;
    }
  }
  void take_urgently(Waiter& waiter) {
    if (baton.try_take(Holder::caller)) return;
    waiter.urgent = true;
    baton.enlist(waiter);
    for (;;) {
      bell().ring(true);
      const bool own = baton.try_take(Holder::caller);
      if (!own) Baton::sleep(waiter, 0);
      if (own || waiter.word.load(std::memory_order_acquire) == Waiter::handed) {
        baton.delist(waiter);
        return;
      }
    }
  }
  [[nodiscard]] Bell bell() { return Bell(&bell_word, -1, fencing); }

  Baton baton;
  typename A::template Word<std::uint32_t> bell_word;

 private:
  template <class Reached>
  bool collect_until(Reached& reached) {
    const bool done = collect(reached);
    baton.leave();
    return done;
  }
  template <class Reached>
  bool collect(Reached& reached) {
    Pool& pool = static_cast<Pool&>(*this);
    Bell own = bell();
    for (;;) {
      if (reached()) return true;
      if (baton.urgently_wanted()) return false;
      if (pool.collect()) continue;
      const std::uint32_t parked = own.park(Bell::on_futex);
      if (!reached() && !pool.any_results() && !baton.urgently_wanted()) own.sleep(parked, 0);
      own.leave(parked);
    }
  }
};

/// Threads that wait for an entry each, and a worker that answers, the last first. Whoever has the
/// baton ends the entries. In a chain the worker answers for the last only, and each waiter, when
/// it has waited, for the one before it: so the one with the baton may wait for one without.
template <class A, Fencing fencing, unsigned waiters, bool chain = false,
          Wrong wrong = Wrong::nothing>
struct Waiters : Turns<A, fencing, Waiters<A, fencing, waiters, chain, wrong>> {
  static constexpr unsigned threads = waiters + 1;
  using Base = Turns<A, fencing, Waiters>;

  std::array<typename A::template Word<std::uint32_t>, waiters> answers;
  std::array<Entry<A>, waiters> entries;
  std::array<typename Base::Waiter, waiters> waiting;
  typename A::template Word<std::uint32_t> taken;  // by whoever has the baton

  Waiters() {
    for (unsigned i = 0; i < waiters; ++i) waiting[i].subject = &entries[i];
  }
  void run(unsigned thread) {
    if (thread == waiters) {
      for (unsigned i = waiters; i-- > (chain ? waiters - 1 : 0);) answer(i);
      return;
    }
    Entry<A>& entry = entries[thread];
    const auto announce = [&] {
      if (wrong != Wrong::no_announcement) detail::set_waited(entry.state);
    };
    if (!detail::has_ended(entry.state)) {
      this->wait(waiting[thread], announce, [&] { return detail::has_ended(entry.state); });
    }
    require(entry.data.load(std::memory_order_relaxed) == 7, "it has ended, and has no value");
    if (chain && thread > 0) answer(thread - 1);
  }
  void answer(unsigned i) {
    answers[i].store(1, std::memory_order_release);
    this->bell().ring();
  }
  bool any_results() {
    const std::uint32_t done = taken.load(std::memory_order_relaxed);
    return done < waiters && answers[waiters - 1 - done].load(std::memory_order_acquire) != 0;
  }
  bool collect() {
    if (!any_results()) return false;
    const std::uint32_t done = taken.load(std::memory_order_relaxed);
    taken.store(done + 1, std::memory_order_relaxed);
    end(entries[waiters - 1 - done]);
    return true;
  }
  void end(Entry<A>& entry) {
    if (wrong == Wrong::told_before_end) this->baton.tell(&entry);
    entry.data.store(7, std::memory_order_relaxed);
    const std::uint32_t before = detail::set_ended(entry.state);
    require((before & detail::entry_done) == 0, "an entry is ended twice");
    if (wrong == Wrong::told_before_end) return;
    if ((before & detail::entry_waited) != 0) this->baton.tell(&entry);
  }
  void check() {
    require(taken.load() == waiters, "an answer was not taken, or two took it");
    require(this->baton.holder() == Base::Holder::nobody, "the baton was not left");
    require(!this->baton.wanted(), "somebody is still listed");
  }
};

/// One waits with the baton; another takes it urgently to end the entry, as the service thread
/// does.
template <class A, Fencing fencing>
struct Urgent : Turns<A, fencing, Urgent<A, fencing>> {
  static constexpr unsigned threads = 2;
  using Base = Turns<A, fencing, Urgent>;

  Entry<A> entry;
  std::array<typename Base::Waiter, 2> waiting;

  void run(unsigned thread) {
    if (thread == 0) {
      waiting[0].subject = &entry;
      this->wait(
          waiting[0], [&] { detail::set_waited(entry.state); },
          [&] { return detail::has_ended(entry.state); });
      require(entry.data.load(std::memory_order_relaxed) == 7, "it has ended, and has no value");
      return;
    }
    this->take_urgently(waiting[1]);
    entry.data.store(7, std::memory_order_relaxed);
    if ((detail::set_ended(entry.state) & detail::entry_waited) != 0) this->baton.tell(&entry);
    this->baton.leave();
  }
  bool any_results() { return false; }
  bool collect() { return false; }
  void check() {
    require(this->baton.holder() == Base::Holder::nobody, "the baton was not left");
    require(!this->baton.wanted(), "somebody is still listed");
  }
};

}  // namespace

TEST_CASE("an entry that is dropped while it ends is given back once") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<DropAndEnd<Atomics<>>>("drop and end", in(model));
  }
  using NoAcquire = Atomics<ring::Mutant::none, Without::acquire>;
  using NoRelease = Atomics<ring::Mutant::none, Without::release>;
  expect_found<DropAndEnd<NoAcquire>>("no acquire", "it has ended, and has no value",
                                      in(Model::weak));
  expect_found<DropAndEnd<NoRelease>>("no release", "it has ended, and has no value",
                                      in(Model::weak));
}

TEST_CASE("the baton is one's at a time, and does not lie about while somebody wants it") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<HandOver<Atomics<>, 2>>("two want the baton", in(model));
  }
  expect_right<HandOver<Atomics<>, 3>>("three want the baton", in(Model::weak, 2));
}

TEST_CASE("one who waits sleeps no longer than until the end") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<Waiters<Atomics<>, Fencing::symmetric, 1>>("one waiter, fences", in(model));
    expect_right<Waiters<Atomics<>, Fencing::asymmetric, 1>>("one waiter, membarrier", in(model));
  }
}

TEST_CASE("the baton is taken urgently from one who sleeps with it") {
  using Fences = Urgent<Atomics<>, Fencing::symmetric>;
  using Membarrier = Urgent<Atomics<>, Fencing::asymmetric>;
  expect_right<Fences>("urgent, fences", in(Model::tso));
  expect_right<Membarrier>("urgent, membarrier", in(Model::tso));
  expect_right<Fences>("urgent, fences", in(Model::weak, 3));
  expect_right<Membarrier>("urgent, membarrier", in(Model::weak, 3));
}

TEST_CASE("of two who wait one has the baton, and both are told") {
  using Fences = Waiters<Atomics<>, Fencing::symmetric, 2>;
  using Membarrier = Waiters<Atomics<>, Fencing::asymmetric, 2>;
  using Chain = Waiters<Atomics<>, Fencing::symmetric, 2, true>;
  expect_right<Fences>("two waiters, fences", in(Model::weak, 2));
  expect_right<Membarrier>("two waiters, membarrier", in(Model::weak, 1));
  expect_right<Chain>("one waits for the other, fences", in(Model::weak, 1));
  Options options;
  options.random_executions = 30'000;
  options.seed = checks::seed();
  for (const Model model : {Model::tso, Model::weak}) {
    options.model = model;
    expect_right<Fences>("two waiters, fences", options);
    expect_right<Membarrier>("two waiters, membarrier", options);
    expect_right<Chain>("one waits for the other, fences", options);
  }
}

TEST_CASE("a waiter that does not say so is found") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_found<Waiters<Atomics<>, Fencing::symmetric, 2, true, Wrong::no_announcement>>(
        "no announcement", stuck, in(model));
  }
}

TEST_CASE("a waiter that is told before the end is found") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_found<Waiters<Atomics<>, Fencing::symmetric, 2, true, Wrong::told_before_end>>(
        "told before the end", stuck, in(model));
  }
}

TEST_CASE("a baton without sequential consistency is found") {
  using A = Atomics<ring::Mutant::none, Without::seq_cst>;
  for (const Model model : {Model::tso, Model::weak}) {
    expect_found<HandOver<A, 2>>("no sequential consistency", stuck, in(model));
  }
}
