// Ours: the ring of lib/ring behind its handles. It leaves fullness to credits, so a word on a line
// of its own carries them back, in batches of a quarter of the ring.
#include <atomic>
#include <cstddef>

#include "lib/ring/sequence_ring.hpp"
#include "perf/ring/message.hpp"

namespace pinion::perf {
namespace {

using Ring = ring::SequenceRing<Message>;

struct Memory {
  alignas(128) std::byte slots[Ring::bytes(sizes::ring_slots)]{};
  alignas(128) std::atomic<std::uint64_t> taken{0};
};

class CreditedProducer {
 public:
  explicit CreditedProducer(Memory& memory)
      : ring_(memory.slots, sizes::ring_slots, 0), taken_(&memory.taken) {}

  bool push(const Message& message) {
    if (ring_.position() == limit_) {
      limit_ = taken_->load(std::memory_order_acquire) + sizes::ring_slots;
      if (ring_.position() == limit_) return false;
    }
    ring_.push(message);
    return true;
  }

 private:
  Ring::Producer ring_;
  const std::atomic<std::uint64_t>* taken_;
  std::uint64_t limit_ = sizes::ring_slots;
};

class CreditingConsumer {
 public:
  explicit CreditingConsumer(Memory& memory)
      : ring_(memory.slots, sizes::ring_slots, 0), taken_(&memory.taken) {}

  bool pop(Message& message) {
    if (!ring_.take(message)) return false;
    if (ring_.position() % (sizes::ring_slots / 4) == 0) {
      taken_->store(ring_.position(), std::memory_order_release);
    }
    return true;
  }

 private:
  Ring::Consumer ring_;
  std::atomic<std::uint64_t>* taken_;
};

Sample pinion_ring() {
  Shared<Memory> memory;
  CreditedProducer producer(*memory);
  CreditingConsumer consumer(*memory);
  return stream_messages([&](const Message& message) { return producer.push(message); },
                         [&](Message& message) { return consumer.pop(message); });
}

const Contestant registered{"ring/pinion", pinion_ring};

}  // namespace
}  // namespace pinion::perf
