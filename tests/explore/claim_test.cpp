// Claim against take-back, in every order: a task is run or taken back, never both, never neither.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <initializer_list>

#include "lib/ring/claim.hpp"
#include "lib/ring/revoke.hpp"
#include "lib/ring/sequence_ring.hpp"
#include "tests/explore/expect.hpp"

using namespace explore;
using pinion::ring::Fencing;
using pinion::ring::Mutant;
namespace ring = pinion::ring;

namespace {

/// What the manager takes back, in batches.
enum class Script { second, both, second_then_first };

/// As under a race detector.
struct ByUpdates : Atomics<> {
  static constexpr bool fences_by_rmw = true;
};
/// Policies that leave out a barrier.
struct NoFences : Atomics<> {
  static void full_fence() {}
};
struct NoMembarrier : Atomics<> {
  static void membarrier() {}
};

template <class A>
struct Lines {
  ring::BasicManagerLine<A> manager;
  ring::BasicWorkerLine<A> worker;
  std::array<ring::BasicVerdict<A>, 2> verdicts;

  Lines() {
    manager.revoked_end.name("revoked_end");
    worker.claimed.name("claimed");
    verdicts[0].revoked.name("revoked[0]");
    verdicts[1].revoked.name("revoked[1]");
  }
};

/// The worker takes up two tasks; the manager wants some of them back.
template <class A, Fencing fencing, Script script>
struct TakeBack {
  static constexpr unsigned threads = 2;
  static constexpr std::uint64_t birth = 3;

  Lines<A> lines;
  std::array<bool, 2> wanted{};
  std::array<bool, 2> ran{};
  std::array<bool, 2> skipped{};
  std::array<bool, 2> taken{};

  TakeBack() { lines.worker.claimed.store(birth); }

  void run(unsigned thread) {
    if (thread == 0) return worker();
    if (script == Script::both) return revoke({0, 1});
    revoke({1});
    if (script == Script::second_then_first) revoke({0});
  }
  void worker() {
    for (unsigned i = 0; i < 2; ++i) {
      const bool mine =
          ring::claim(lines.worker, lines.manager, lines.verdicts[i], birth + i, fencing);
      (mine ? ran : skipped)[i] = true;
      if (mine) ring::claim_after_run(lines.worker, birth + i);
    }
  }
  void revoke(std::initializer_list<unsigned> tasks) {
    ring::Revocation<A> revocation(lines.manager);
    for (const unsigned i : tasks) {
      wanted[i] = true;
      revocation.add(lines.verdicts[i], birth + i);
    }
    const std::uint64_t claimed = revocation.publish(lines.worker, fencing);
    for (const unsigned i : tasks) taken[i] = birth + i >= claimed;
  }
  void check() {
    for (unsigned i = 0; i < 2; ++i) {
      require(!(ran[i] && taken[i]), "a task is run and taken back");
      require(!skipped[i] || wanted[i], "a task is skipped that nobody wanted back");
      // One that was taken back in doubt is not lost: the worker answers that it skipped it.
      require(ran[i] || skipped[i], "a task is neither run nor skipped");
    }
  }
};

/// A flight carries another task when its first is answered: what was said of that one means
/// nothing.
template <class A, Fencing fencing>
struct FlightAgain {
  static constexpr unsigned threads = 2;
  struct Message {
    std::uint64_t flight;
  };
  using Ring = ring::SequenceRing<Message, A>;

  Lines<A> lines;
  std::array<ring::Slot<Message, A>, 4> slots;
  typename A::template Word<std::uint64_t> answered;
  std::array<bool, 3> ran{};
  std::array<bool, 3> taken{};

  std::byte* memory() { return reinterpret_cast<std::byte*>(slots.data()); }

  void run(unsigned thread) { thread == 0 ? worker() : manager(); }
  void worker() {
    typename Ring::Consumer in(memory(), slots.size(), 0);
    for (std::uint64_t p = 0; p < ran.size(); ++p) {
      Message message{};
      while (!in.take(message)) await_change();
      ran[p] = ring::claim(lines.worker, lines.manager, lines.verdicts[message.flight], p, fencing);
      if (ran[p]) ring::claim_after_run(lines.worker, p);
      answered.store(p + 1, std::memory_order_release);
    }
  }
  void manager() {
    typename Ring::Producer out(memory(), slots.size(), 0);
    out.push({0});
    out.push({1});
    revoke(0, 0);
    while (answered.load(std::memory_order_acquire) < 1) await_change();
    out.push({0});
    revoke(1, 1);
  }
  void revoke(std::uint64_t position, unsigned flight) {
    ring::Revocation<A> revocation(lines.manager);
    revocation.add(lines.verdicts[flight], position);
    taken[position] = position >= revocation.publish(lines.worker, fencing);
  }
  void check() {
    for (unsigned i = 0; i < 2; ++i) require(!(ran[i] && taken[i]), "a task is run and taken back");
    require(ran[2], "a task is skipped for what was said of another");
  }
};

/// The manager gives the worker up: it starts nothing more at or above what it has claimed.
template <class A, Fencing fencing>
struct Abandoned {
  static constexpr unsigned threads = 2;
  Lines<A> lines;
  std::uint64_t ran = 0;  // tasks, in their order
  std::uint64_t claimed = 0;

  void run(unsigned thread) {
    if (thread == 0) {
      while (ran < 2 &&
             ring::claim(lines.worker, lines.manager, lines.verdicts[ran], ran, fencing)) {
        ++ran;
        ring::claim_after_run(lines.worker, ran - 1);
      }
      return;
    }
    lines.manager.revoked_end.store(~std::uint64_t{0}, std::memory_order_release);
    ring::rare_barrier<A>(fencing);
    claimed = lines.worker.claimed.load(std::memory_order_acquire);
  }
  void check() { require(ran <= claimed, "a task is run by a worker that was given up"); }
};

/// The worker dies anywhere. What it has started lies below what it has claimed.
template <class A>
struct Death {
  static constexpr unsigned threads = 1;
  Lines<A> lines;
  std::array<bool, 2> started{};

  void run(unsigned) {
    for (unsigned i = 0; i < 2; ++i) {
      if (dies()) return;
      if (!ring::claim(lines.worker, lines.manager, lines.verdicts[i], i, Fencing::symmetric))
        return;
      if (dies()) return;
      started[i] = true;
      if (dies()) return;
      ring::claim_after_run(lines.worker, i);
    }
  }
  static bool dies() { return Explorer::current().choose(2) == 1; }
  void check() {
    for (unsigned i = 0; i < 2; ++i) {
      require(!started[i] || lines.worker.claimed.load() > i, "a task that had started runs again");
    }
  }
};

}  // namespace

TEST_CASE("a task is run or taken back, never both") {
  for (const Model model : {Model::tso, Model::weak}) {
    constexpr auto asymmetric = Fencing::asymmetric;
    constexpr auto symmetric = Fencing::symmetric;
    expect_right<TakeBack<Atomics<>, asymmetric, Script::second>>("one, membarrier", in(model));
    expect_right<TakeBack<Atomics<>, symmetric, Script::second>>("one, fences", in(model));
    expect_right<TakeBack<Atomics<>, asymmetric, Script::both>>("two, membarrier", in(model));
    expect_right<TakeBack<Atomics<>, symmetric, Script::both>>("two, fences", in(model));
    expect_right<TakeBack<Atomics<>, asymmetric, Script::second_then_first>>(
        "one after the other, membarrier", in(model));
    expect_right<TakeBack<Atomics<>, symmetric, Script::second_then_first>>(
        "one after the other, fences", in(model));
  }
}

TEST_CASE("the same as a race detector sees it") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<TakeBack<ByUpdates, Fencing::asymmetric, Script::second_then_first>>(
        "updates, membarrier", in(model));
    expect_right<TakeBack<ByUpdates, Fencing::symmetric, Script::second_then_first>>(
        "updates, fences", in(model));
  }
}

TEST_CASE("what was said of a flight's first task does not touch its next") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<FlightAgain<Atomics<>, Fencing::asymmetric>>("flight again, membarrier",
                                                              in(model));
    expect_right<FlightAgain<Atomics<>, Fencing::symmetric>>("flight again, fences", in(model));
  }
}

TEST_CASE("a worker that was given up starts nothing") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<Abandoned<Atomics<>, Fencing::asymmetric>>("given up, membarrier", in(model));
    expect_right<Abandoned<Atomics<>, Fencing::symmetric>>("given up, fences", in(model));
  }
}

TEST_CASE("a task that has started when its worker dies is known to have") {
  expect_right<Death<Atomics<>>>("death", in(Model::weak));
  expect_found<Death<Atomics<Mutant::claim_after_run>>>(
      "claim after run", "a task that had started runs again", in(Model::weak));
}

TEST_CASE("a claim after the run is found") {
  using A = Atomics<Mutant::claim_after_run>;
  for (const Model model : {Model::tso, Model::weak}) {
    expect_found<TakeBack<A, Fencing::asymmetric, Script::second>>(
        "claim after run", "a task is run and taken back", in(model));
    expect_found<TakeBack<A, Fencing::symmetric, Script::both>>(
        "claim after run", "a task is run and taken back", in(model));
    expect_found<Abandoned<A, Fencing::symmetric>>(
        "claim after run", "a task is run by a worker that was given up", in(model));
  }
}

TEST_CASE("a missing barrier is found") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_found<TakeBack<NoFences, Fencing::symmetric, Script::second>>(
        "no fences", "a task is run and taken back", in(model));
    expect_found<TakeBack<NoMembarrier, Fencing::asymmetric, Script::second>>(
        "no membarrier", "a task is run and taken back", in(model));
  }
}
