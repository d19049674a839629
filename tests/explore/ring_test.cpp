// The slot-sequence ring, in every order: no message is torn, stale, lost or taken twice.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>

#include "lib/ring/sequence_ring.hpp"
#include "tests/explore/expect.hpp"

using namespace explore;
using pinion::ring::Mutant;
namespace ring = pinion::ring;

namespace {

struct Message {
  std::uint64_t words[2];

  static Message of(std::uint64_t number) { return {{10 * number + 1, 10 * number + 2}}; }
  [[nodiscard]] bool is(std::uint64_t number) const {
    return words[0] == 10 * number + 1 && words[1] == 10 * number + 2;
  }
};

/// The memory of a ring, and its ends.
template <class A, std::size_t capacity>
struct RingMemory {
  using Ring = ring::SequenceRing<Message, A>;
  std::array<ring::Slot<Message, A>, capacity> slots;

  std::byte* begin() { return reinterpret_cast<std::byte*>(slots.data()); }
  typename Ring::Producer producer(std::uint64_t position) { return {begin(), capacity, position}; }
  typename Ring::Consumer consumer(std::uint64_t position) { return {begin(), capacity, position}; }
};

/// Tasks one way, answers the other: an answer is the credit for the next task, as in the pool.
template <class A, std::size_t capacity, std::uint64_t count>
struct Credits {
  static constexpr unsigned threads = 2;
  static constexpr std::uint64_t birth = 5;

  RingMemory<A, capacity> tasks;
  RingMemory<A, capacity> answers;
  std::uint64_t taken = 0;

  void run(unsigned thread) { thread == 0 ? manager() : worker(); }

  void manager() {
    auto out = tasks.producer(birth);
    auto in = answers.consumer(birth);
    for (std::uint64_t n = 0; n < count; ++n) {
      if (n >= capacity && A::mutant != Mutant::no_credit) take(in, n - capacity);
      out.push(Message::of(n));
    }
    if (A::mutant == Mutant::no_credit) return;
    for (std::uint64_t n = count < capacity ? 0 : count - capacity; n < count; ++n) take(in, n);
    require(!in.ready(), "an answer that nobody gave");
  }
  void worker() {
    auto in = tasks.consumer(birth);
    auto out = answers.producer(birth);
    for (std::uint64_t n = 0; n < count; ++n) {
      take(in, n);
      ++taken;
      out.push(Message::of(n));
    }
    require(!in.ready(), "a task that nobody gave");
  }
  template <class Consumer>
  void take(Consumer& in, std::uint64_t n) {
    Message message = Message::of(99);
    while (!in.take(message)) await_change();
    require(message.is(n), "a message is torn, stale, lost or taken twice");
  }
  void check() { require(taken == count, "a message is lost"); }
};

/// A worker has died with two messages unread; its successor finds one of its own.
template <class A>
struct Successor {
  static constexpr unsigned threads = 2;
  RingMemory<A, 2> tasks;
  typename RingMemory<A, 2>::Ring::Producer out = tasks.producer(0);

  Successor() {
    out.push(Message::of(0));
    out.push(Message::of(1));
    // The successor's tasks begin where the manager is, wherever it starts to count.
    if (A::mutant == Mutant::positions_restarted) out = tasks.producer(2);
  }
  void run(unsigned thread) {
    if (thread == 0) return out.push(Message::of(2));
    auto in = tasks.consumer(2);
    Message message = Message::of(99);
    while (!in.take(message)) await_change();
    require(message.is(2), "a successor takes a message of its predecessor");
  }
  void check() {}
};

/// Somebody still writes for a worker that is dead (a child of a task, say), while its successor
/// answers at the same position.
template <class A>
struct LateWriter {
  static constexpr unsigned threads = 3;
  static constexpr bool reused = A::mutant == Mutant::segment_reused;
  RingMemory<A, 1> old_segment;
  RingMemory<A, 1> new_segment;

  void run(unsigned thread) {
    auto& segment = reused ? old_segment : new_segment;
    switch (thread) {
      case 0:
        return old_segment.producer(7).push(Message::of(1));
      case 1:
        return segment.producer(7).push(Message::of(2));
      default:
        auto in = segment.consumer(7);
        Message message = Message::of(99);
        while (!in.take(message)) await_change();
        require(message.is(2), "what was written for the dead is taken for its successor's");
    }
  }
  void check() {}
};

/// A worker that writes into a slot that it has published. What the manager has checked is what it
/// uses.
template <class A>
struct Scribbler {
  static constexpr unsigned threads = 2;
  static constexpr std::uint64_t end = 100;  // of the memory that an offset may point into
  RingMemory<A, 2> answers;

  void run(unsigned thread) {
    if (thread == 0) {
      answers.producer(0).push({{40, 8}});
      answers.slots[0].message.words[0].store(end + 1, std::memory_order_relaxed);
      answers.slots[0].message.words[1].store(~std::uint64_t{0}, std::memory_order_relaxed);
      return;
    }
    auto in = answers.consumer(0);
    Message message{};
    while (!in.take(message)) await_change();
    const std::uint64_t offset = message.words[0];
    const std::uint64_t bytes = message.words[1];
    if (offset > end || bytes > end - offset) return;  // a breach: the worker is replaced
    in.fetch_again(message);
    require(message.words[0] <= end && message.words[1] <= end - message.words[0],
            "memory outside the segment is read");
  }
  void check() {}
};

}  // namespace

TEST_CASE("messages pass whole, in order, once, also where slots are used again") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<Credits<Atomics<>, 1, 3>>("one slot, three tasks", in(model));
    expect_right<Credits<Atomics<>, 2, 4>>("two slots, four tasks", in(model));
  }
}

TEST_CASE("a message that is published before it is written is found") {
  using Broken = Credits<Atomics<Mutant::early_publish>, 2, 3>;
  for (const Model model : {Model::tso, Model::weak}) {
    expect_found<Broken>("early publish", "a message is torn, stale, lost or taken twice",
                         in(model));
  }
}

TEST_CASE("a message that is published without order is found, where order is not the machine's") {
  expect_found<Credits<Atomics<Mutant::relaxed_publish>, 2, 3>>(
      "relaxed publish", "a message is torn, stale, lost or taken twice", in(Model::weak));
  expect_right<Credits<Atomics<Mutant::relaxed_publish>, 2, 3>>("relaxed publish", in(Model::tso));
}

TEST_CASE("a consumer that looks without order is found") {
  expect_found<Credits<Atomics<Mutant::none, Without::acquire>, 2, 3>>(
      "no acquire", "a message is torn, stale, lost or taken twice", in(Model::weak));
}

TEST_CASE("a slot that is written without a credit is found") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_found<Credits<Atomics<Mutant::no_credit>, 2, 3>>(
        "no credit", model == Model::tso ? "a message is torn, stale, lost or taken twice" : stuck,
        in(model));
  }
}

TEST_CASE("a successor takes nothing of its predecessor's") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<Successor<Atomics<>>>("successor", in(model));
    expect_found<Successor<Atomics<Mutant::positions_restarted>>>(
        "positions restarted", "a successor takes a message of its predecessor", in(model));
    expect_right<LateWriter<Atomics<>>>("late writer", in(model));
    expect_found<LateWriter<Atomics<Mutant::segment_reused>>>(
        "segment reused", "what was written for the dead is taken for its successor's", in(model));
  }
}

TEST_CASE("what was checked is what is used, whatever the other side writes meanwhile") {
  for (const Model model : {Model::tso, Model::weak}) {
    expect_right<Scribbler<Atomics<>>>("scribbler", in(model));
    expect_found<Scribbler<Atomics<Mutant::double_fetch>>>(
        "double fetch", "memory outside the segment is read", in(model));
  }
}
