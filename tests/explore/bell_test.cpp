// The bell, in every order: whoever sleeps is woken when there is something for it.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>

#include "lib/ring/bell.hpp"
#include "lib/ring/sequence_ring.hpp"
#include "tests/explore/expect.hpp"
#include "tests/support/seed.hpp"

using namespace explore;
using pinion::ring::Fencing;
using pinion::ring::Mutant;
namespace ring = pinion::ring;

namespace {

struct Message {
  std::uint64_t number;
};

/// As under a race detector.
struct ByUpdates : Atomics<> {
  static constexpr bool fences_by_rmw = true;
};
/// Without the barrier of a waker, where it is a fence.
struct NoFences : Atomics<> {
  static void full_fence() {}
};

/// A ring that is never full.
template <class A, std::size_t capacity>
struct Ring {
  using Type = ring::SequenceRing<Message, A>;
  std::array<ring::Slot<Message, A>, capacity> slots;
  typename Type::Producer producer{begin(), capacity, 0};
  typename Type::Consumer consumer{begin(), capacity, 0};

  std::byte* begin() { return reinterpret_cast<std::byte*>(slots.data()); }
  /// Takes what there is; whether there was any.
  bool take_all(std::uint64_t& got) {
    Message message{};
    const std::uint64_t before = got;
    while (got < capacity && consumer.take(message)) {
      require(message.number == ++got, "a message is stale");
    }
    return got != before;
  }
};

/// One who pushes some messages and rings after each, and one who sleeps: on the futex or in its
/// loop.
template <class A, Fencing fencing, std::uint64_t count, bool in_loop = false, class WakersA = A>
struct Messages {
  static constexpr unsigned threads = 2;
  using Bell = ring::BasicBell<A>;

  typename A::template Word<std::uint32_t> word;
  Event event;
  Ring<A, count> ring_;
  std::uint64_t got = 0;

  Messages() { word.name("bell"); }

  void run(unsigned thread) {
    if (thread == 0) return sleeper();
    ring::BasicBell<WakersA> bell(&word, event.fd(), fencing);
    for (std::uint64_t n = 1; n <= count; ++n) {
      ring_.producer.push({n});
      bell.ring();
    }
  }
  void sleeper() {
    Bell bell(&word, event.fd(), fencing);
    while (got < count) {
      if (ring_.take_all(got)) continue;
      const std::uint32_t parked = bell.park(in_loop ? Bell::in_loop : Bell::on_futex);
      if (!ring_.consumer.ready()) {
        if (in_loop) {
          event.take();
        } else {
          bell.sleep(parked, 0);
        }
      }
      bell.leave(parked);
    }
    require(bell.where() == Bell::awake, "it is awake, and its bell says that it sleeps");
  }
  void check() { require(got == count, "a message is lost"); }
};

/// Several who say one thing each.
template <class A, Fencing fencing, unsigned wakers>
struct Wakers {
  static constexpr unsigned threads = 1 + wakers;
  using Bell = ring::BasicBell<A>;

  typename A::template Word<std::uint32_t> word;
  std::array<typename A::template Word<std::uint32_t>, wakers> said;
  unsigned seen = 0;

  void run(unsigned thread) {
    Bell bell(&word, -1, fencing);
    if (thread != 0) {
      said[thread - 1].store(1, std::memory_order_release);
      bell.ring();
      return;
    }
    while (!all_seen()) {
      const std::uint32_t parked = bell.park(Bell::on_futex);
      if (!all_seen()) bell.sleep(parked, 0);
      bell.leave(parked);
    }
  }
  bool all_seen() {
    while (seen < wakers && said[seen].load(std::memory_order_acquire) != 0) ++seen;
    return seen == wakers;
  }
  void check() { require(seen == wakers, "something is lost"); }
};

/// Two who hand a ball to each other, and both sleep.
template <class A, Fencing fencing, std::uint32_t rounds>
struct Ball {
  static constexpr unsigned threads = 2;
  using Bell = ring::BasicBell<A>;

  std::array<typename A::template Word<std::uint32_t>, 2> bells;
  std::array<typename A::template Word<std::uint32_t>, 2> throws;

  void run(unsigned me) {
    for (std::uint32_t n = 1; n <= rounds; ++n) {
      if (me == 1) await(me, n);
      throws[me].store(n, std::memory_order_release);
      Bell(&bells[1 - me], -1, fencing).ring();
      if (me == 0) await(me, n);
    }
  }
  void await(unsigned me, std::uint32_t n) {
    const auto there = [&] { return throws[1 - me].load(std::memory_order_acquire) >= n; };
    Bell bell(&bells[me], -1, fencing);
    while (!there()) {
      const std::uint32_t parked = bell.park(Bell::on_futex);
      if (!there()) bell.sleep(parked, 0);
      bell.leave(parked);
    }
  }
  void check() {}
};

/// One who is full is woken by what is urgent: here, by the second message.
template <class A, Fencing fencing>
struct Full {
  static constexpr unsigned threads = 2;
  using Bell = ring::BasicBell<A>;

  typename A::template Word<std::uint32_t> word;
  Event event;
  Ring<A, 2> ring_;
  std::uint64_t got = 0;

  void run(unsigned thread) {
    Bell bell(&word, event.fd(), fencing);
    if (thread == 1) {
      ring_.producer.push({1});
      bell.ring();
      ring_.producer.push({2});
      bell.ring(true);
      return;
    }
    while (got < 2) {
      const std::uint32_t parked = bell.park(Bell::full);
      if (!ring_.take_all(got)) event.take();
      bell.leave(parked);
    }
  }
  void check() { require(got == 2, "an urgent message is lost"); }
};

constexpr Fencing asymmetric = Fencing::asymmetric;
constexpr Fencing symmetric = Fencing::symmetric;

}  // namespace

TEST_CASE("no wake-up is lost between one who wakes and one who sleeps") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<Messages<Atomics<>, asymmetric, 1>>("one message, membarrier", in(model));
    expect_right<Messages<Atomics<>, symmetric, 1>>("one message, fences", in(model));
    expect_right<Messages<Atomics<>, asymmetric, 2>>("two messages, membarrier", in(model));
    expect_right<Messages<Atomics<>, symmetric, 2>>("two messages, fences", in(model));
  }
}

TEST_CASE("no wake-up is lost with two who wake") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<Wakers<Atomics<>, asymmetric, 2>>("two wakers, membarrier", in(model));
    expect_right<Wakers<Atomics<>, symmetric, 2>>("two wakers, fences", in(model));
  }
}

TEST_CASE("no wake-up is lost between two who both sleep") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<Ball<Atomics<>, asymmetric, 1>>("a ball, membarrier", in(model));
    expect_right<Ball<Atomics<>, symmetric, 1>>("a ball, fences", in(model));
  }
  Options options;
  options.random_executions = 20'000;
  options.seed = checks::seed();
  for (const Model model : {Model::tso, Model::weak}) {
    options.model = model;
    expect_right<Ball<Atomics<>, asymmetric, 3>>("three rounds, membarrier", options);
    expect_right<Ball<Atomics<>, symmetric, 3>>("three rounds, fences", options);
  }
}

TEST_CASE("no wake-up is lost where one sleeps in its loop") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<Messages<Atomics<>, asymmetric, 1, true>>("in its loop, membarrier", in(model));
    expect_right<Messages<Atomics<>, symmetric, 1, true>>("in its loop, fences", in(model));
    expect_right<Full<Atomics<>, asymmetric>>("full, membarrier", in(model));
    expect_right<Full<Atomics<>, symmetric>>("full, fences", in(model));
  }
}

TEST_CASE("no wake-up is lost as a race detector sees it") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<Messages<ByUpdates, asymmetric, 1>>("updates, membarrier", in(model));
    expect_right<Messages<ByUpdates, symmetric, 1>>("updates, fences", in(model));
  }
}

TEST_CASE("a sleeper that looks without a barrier is found") {
  using A = Atomics<Mutant::no_parking_barrier>;
  for (const Model model : {Model::tso, Model::weak}) {
    expect_found<Messages<A, asymmetric, 1>>("no parking barrier, membarrier", stuck, in(model));
    expect_found<Messages<A, symmetric, 1>>("no parking barrier, fences", stuck, in(model));
  }
}

TEST_CASE("a waker that looks without a barrier is found") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_found<Messages<Atomics<>, symmetric, 1, false, NoFences>>("no waker's fence", stuck,
                                                                     in(model));
  }
}

TEST_CASE("a bell that is not changed before the wake is found") {
  using A = Atomics<Mutant::silent_bell>;
  for (const Model model : {Model::tso, Model::weak}) {
    expect_found<Messages<A, asymmetric, 1>>("silent bell, membarrier", stuck, in(model));
    expect_found<Messages<A, symmetric, 1>>("silent bell, fences", stuck, in(model));
  }
}
