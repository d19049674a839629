// The bare ring: what a ring between two processes can do, with no interface and no checks.
//
//   slots[i]  | sequence | seven words of payload |    64 bytes, written by the producer
//   taken     | positions read so far              |    its own line, written by the consumer
//
// The sequence word is stored last, so a message costs one cache line; both positions are private;
// the consumer says in batches how far it has come, which is all that the producer waits for.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "perf/ring/message.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {

struct LimitRing {
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> sequence{0};  // position + 1 once the message is complete
    Message message;
  };
  static_assert(sizeof(Slot) == 64, "one message, one cache line");

  alignas(128) Slot slots[sizes::ring_slots];
  alignas(128) std::atomic<std::uint64_t> taken{0};
};

class LimitProducer {
 public:
  explicit LimitProducer(LimitRing& ring) : ring_(&ring) {}

  bool push(const Message& message) {
    if (position_ == limit_) {
      limit_ = ring_->taken.load(std::memory_order_acquire) + sizes::ring_slots;
      if (position_ == limit_) return false;
    }
    LimitRing::Slot& slot = ring_->slots[position_ % sizes::ring_slots];
    slot.message = message;
    slot.sequence.store(++position_, std::memory_order_release);
    return true;
  }

 private:
  LimitRing* ring_;
  std::uint64_t position_ = 0;
  std::uint64_t limit_ = sizes::ring_slots;
};

class LimitConsumer {
 public:
  explicit LimitConsumer(LimitRing& ring) : ring_(&ring) {}

  /// Takes a whole message: all words are read, each once, as a consumer must that does not trust
  /// its peer.
  bool pop(Message& message) {
    const LimitRing::Slot& slot = next();
    if (slot.sequence.load(std::memory_order_acquire) != position_ + 1) return false;
    for (unsigned i = 0; i < std::size(message.words); ++i) {
      message.words[i] = __atomic_load_n(&slot.message.words[i], __ATOMIC_RELAXED);
    }
    advance();
    return true;
  }

  /// Takes a message of which only the first word is wanted.
  bool pop_word(std::uint64_t& word) {
    const LimitRing::Slot& slot = next();
    if (slot.sequence.load(std::memory_order_acquire) != position_ + 1) return false;
    word = slot.message.words[0];
    advance();
    return true;
  }

 private:
  const LimitRing::Slot& next() const { return ring_->slots[position_ % sizes::ring_slots]; }
  void advance() {
    if (++position_ % (sizes::ring_slots / 4) == 0) {
      ring_->taken.store(position_, std::memory_order_release);
    }
  }

  LimitRing* ring_;
  std::uint64_t position_ = 0;
};

}  // namespace pinion::perf
