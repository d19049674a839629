#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <random>
#include <thread>

#include "lib/os/cpu.hpp"
#include "lib/ring/boost_ring.hpp"
#include "lib/ring/messages.hpp"
#include "lib/ring/sequence_ring.hpp"
#include "tests/unit/ring_helpers.hpp"

using namespace pinion;
using namespace pinion::tests;

using Sequence = ring::SequenceRing<Numbered>;
using Boost = ring::BoostRing<Numbered>;

namespace {

/// A ring with both of its ends in one thread, beside the queue that it must behave like.
template <class Ring>
struct Modelled {
  Modelled(std::size_t capacity_, std::uint64_t position)
      : capacity(capacity_),
        memory(Ring::bytes(capacity_)),
        producer(memory.begin(), capacity_, position),
        consumer(memory.begin(), capacity_, position),
        next(position) {}

  void push() {
    producer.push(Numbered::of(next));
    model.push_back(next++);
  }
  /// Whether the ring gave what the queue would have given.
  bool take() {
    Numbered message = Numbered::of(12345);
    const bool expected = !model.empty();
    if (consumer.ready() != expected || consumer.take(message) != expected) return false;
    if (!expected) return message.is(12345);  // nothing came, so nothing was touched
    const std::uint64_t number = model.front();
    model.pop_front();
    return message.is(number);
  }
  bool full() const { return model.size() == capacity; }

  std::size_t capacity;
  RingMemory memory;
  typename Ring::Producer producer;
  typename Ring::Consumer consumer;
  std::deque<std::uint64_t> model;
  std::uint64_t next;
};

/// Every order of 14 pushes and takes; a push without a credit is left out.
template <class Ring>
bool all_orders_are_right(std::size_t capacity, std::uint64_t position) {
  constexpr unsigned steps = 14;
  for (unsigned order = 0; order < 1U << steps; ++order) {
    Modelled<Ring> ring(capacity, position);
    for (unsigned step = 0; step < steps; ++step) {
      if ((order >> step & 1) == 0) {
        if (!ring.take()) return false;
      } else if (!ring.full()) {
        ring.push();
      }
    }
    const std::uint64_t taken = ring.next - ring.model.size();
    if (ring.producer.position() != ring.next || ring.consumer.position() != taken) return false;
  }
  return true;
}

// Some way before the end of the positions: memory that was never written holds 0, which is the
// sequence of the very last position.
constexpr std::uint64_t near_the_end = ~std::uint64_t{0} - 40;

}  // namespace

TEST_CASE("every order of pushes and takes on a small ring is that of a queue (edge case 60)") {
  for (const std::size_t capacity : {1U, 2U, 4U}) {
    for (const std::uint64_t position :
         {std::uint64_t{0}, (std::uint64_t{1} << 32) - 3, ~std::uint64_t{0} - 10}) {
      CAPTURE(capacity);
      CAPTURE(position);
      CHECK(all_orders_are_right<Sequence>(capacity, position));
    }
  }
}

TEST_CASE_TEMPLATE("a ring gives what was pushed, in order, each once", Ring, Sequence, Boost) {
  for (const std::uint64_t position :
       {std::uint64_t{0}, (std::uint64_t{1} << 32) - 50, near_the_end}) {
    CAPTURE(position);
    Modelled<Ring> ring(16, position);
    std::mt19937 random(7);
    bool right = true;
    for (int i = 0; i < 20'000; ++i) {
      for (auto n = random() % 17; n > 0 && !ring.full(); --n) ring.push();
      for (auto n = random() % 17; n > 0; --n) right &= ring.take();
    }
    CHECK(right);
    CHECK(ring.producer.position() == ring.next);
  }
}

TEST_CASE("a slot that holds a message of an earlier round is not ready") {
  Modelled<Sequence> ring(8, 1000);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 8; ++i) ring.push();
    for (int i = 0; i < 8; ++i) CHECK(ring.take());
    CHECK_FALSE(ring.consumer.ready());
  }
  // A successor that begins at a later position does not take what its predecessor left.
  Sequence::Consumer successor(ring.memory.begin(), 8, ring.next + 5);
  Numbered message{};
  CHECK_FALSE(successor.take(message));
}

TEST_CASE("whatever stands in a sequence word, the consumer stays where it is") {
  Modelled<Sequence> ring(4, 100);
  auto* const slots = reinterpret_cast<ring::Slot<Numbered>*>(ring.memory.begin());
  std::mt19937_64 random(11);
  Numbered message = Numbered::of(5);
  for (int i = 0; i < 100'000; ++i) {
    for (int s = 0; s < 4; ++s) {
      std::uint64_t word = i % 2 == 0 ? random() : 96 + random() % 12;
      if (word == 101) word = 0;  // that one is the message it waits for
      slots[s].sequence.store(word, std::memory_order_relaxed);
    }
    if (ring.consumer.take(message)) FAIL("a message that nobody pushed");
  }
  CHECK(message.is(5));
  CHECK(ring.consumer.position() == 100);
}

TEST_CASE("a message that is overwritten while it is copied comes in whole words") {
  Numbered shared{};
  std::atomic<bool> stop{false};
  std::thread scribbler([&] {
    for (std::uint64_t n = 1; !stop.load(std::memory_order_relaxed); ++n) {
      for (auto& word : shared.words) {
        __atomic_store_n(&word, n << 32 | (n & 0xffff'ffff), __ATOMIC_RELAXED);
      }
    }
  });
  bool whole = true;
  bool moved = false;
  Numbered copy{};
  for (int i = 0; i < 300'000 || !moved; ++i) {
    ring::copy_once(copy, shared);
    for (const std::uint64_t word : copy.words) {
      whole &= (word >> 32) == (word & 0xffff'ffff);
      moved |= word > 10;
    }
    if (i % 1000 == 0) std::this_thread::yield();
  }
  stop = true;
  scribbler.join();
  CHECK(whole);
}

TEST_CASE_TEMPLATE("two threads pass a million messages with credits", Ring, Sequence, Boost) {
  constexpr std::size_t capacity = 64;
  constexpr std::uint64_t count = 1'000'000;
  constexpr std::uint64_t begin = (std::uint64_t{1} << 32) - count / 2;
  const RingMemory memory(Ring::bytes(capacity));
  typename Ring::Producer producer(memory.begin(), capacity, begin);
  typename Ring::Consumer consumer(memory.begin(), capacity, begin);
  std::atomic<std::uint64_t> taken{begin};  // the credits that came back
  std::thread pusher([&] {
    std::uint64_t known = begin;
    for (std::uint64_t n = begin; n < begin + count; ++n) {
      for (unsigned spins = 0; n - known == capacity; ++spins) {
        known = taken.load(std::memory_order_acquire);
        if (spins % 64 == 63) std::this_thread::yield();
      }
      producer.push(Numbered::of(n));
    }
  });
  std::uint64_t wrong = 0;
  Numbered message{};
  for (std::uint64_t n = begin; n < begin + count;) {
    unsigned spins = 0;
    while (!consumer.take(message)) {
      if (++spins % 64 == 0) std::this_thread::yield();
      os::pause();
    }
    wrong += message.is(n) ? 0 : 1;
    taken.store(++n, std::memory_order_release);
  }
  pusher.join();
  CHECK(wrong == 0);
  CHECK_FALSE(consumer.ready());
  CHECK(consumer.position() == producer.position());
}

TEST_CASE("the pool's own messages pass unchanged") {
  constexpr std::size_t capacity = 4;
  using Tasks = ring::SequenceRing<ring::TaskMessage>;
  const RingMemory memory(Tasks::bytes(capacity));
  Tasks::Producer producer(memory.begin(), capacity, 0);
  Tasks::Consumer consumer(memory.begin(), capacity, 0);
  ring::TaskMessage sent{};
  sent.flight = 0xfffe;
  sent.kind = ring::TaskKind::grant;
  sent.flags = 0x0f;
  sent.count = 0xffff'ffff;
  sent.code_offset = 0x8000'0001;
  sent.module = 255;
  sent.inline_bytes = 32;
  sent.first = ~std::uint64_t{0};
  for (std::size_t i = 0; i < 4; ++i) sent.payload.words[i] = 0x0123'4567'89ab'cdef * (i + 1);
  producer.push(sent);
  ring::TaskMessage got{};
  REQUIRE(consumer.take(got));
  CHECK(std::memcmp(&sent, &got, sizeof sent) == 0);
}
