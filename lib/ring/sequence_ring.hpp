// The slot-sequence ring: one producer, one consumer, one cache line a message.
//
// Neither end writes what the other keeps count with, so fullness is not visible here: the producer
// holds a credit for every message (lib/pool gives them out), and there are never more credits than
// slots.
//
// EDGE message: the producer stores the message, then `sequence` (release); the consumer loads
// `sequence` (acquire), then the message.
#pragma once

#include "lib/ring/slot.hpp"

namespace pinion::ring {

template <class Message, class Atomics = MachineAtomics>
class SequenceRing {
  using Slot = ring::Slot<Message, Atomics>;
  static std::uint64_t begin_at(std::uint64_t position) noexcept {
    return Atomics::mutant == Mutant::positions_restarted ? 0 : position;
  }

 public:
  static constexpr const char* name = "sequence";
  /// Both ends may write the memory: true only for rings with shared indices.
  static constexpr bool shared_indices = false;

  /// Bytes of shared memory, zeroed before use. `capacity` is a power of two.
  static constexpr std::size_t bytes(std::size_t capacity) noexcept {
    return capacity * sizeof(Slot);
  }

  /// The end that can only push. One thread at a time.
  class Producer {
   public:
    Producer() noexcept = default;
    Producer(std::byte* memory, std::size_t capacity, std::uint64_t position) noexcept
        : slots_(reinterpret_cast<Slot*>(memory)),
          mask_(capacity - 1),
          position_(begin_at(position)) {}

    [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

    /// Wait-free. The caller holds a credit, and rings the bell afterwards.
    void push(const Message& message) noexcept {
      Slot& slot = slots_[position_ & mask_];
      if (Atomics::mutant == Mutant::early_publish) {
        slot.sequence.store(position_ + 1, std::memory_order_release);
      }
      Atomics::put(slot.message, message);
      ++position_;
      if (Atomics::mutant != Mutant::early_publish) {
        const auto order = Atomics::mutant == Mutant::relaxed_publish ? std::memory_order_relaxed
                                                                      : std::memory_order_release;
        slot.sequence.store(position_, order);  // EDGE message
      }
    }

   private:
    Slot* slots_ = nullptr;
    std::uint64_t mask_ = 0;
    std::uint64_t position_ = 0;
  };

  /// The end that can only take. One thread at a time.
  class Consumer {
   public:
    Consumer() noexcept = default;
    Consumer(const std::byte* memory, std::size_t capacity, std::uint64_t position) noexcept
        : slots_(reinterpret_cast<const Slot*>(memory)),
          mask_(capacity - 1),
          position_(begin_at(position)) {}

    [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

    [[nodiscard]] bool ready() const noexcept {
      return slots_[position_ & mask_].sequence.load(std::memory_order_acquire) ==
             position_ + 1;  // EDGE message
    }

    /// Wait-free. False where nothing is there.
    bool take(Message& message) noexcept {
      if (!ready()) return false;
      Atomics::get(message, slots_[position_ & mask_].message);
      ++position_;
      return true;
    }

    /// For code with the fault `double_fetch`: the last message that was taken, from its slot.
    void fetch_again(Message& message) const noexcept {
      if (Atomics::mutant == Mutant::double_fetch) {
        Atomics::get(message, slots_[(position_ - 1) & mask_].message);
      }
    }

   private:
    const Slot* slots_ = nullptr;
    std::uint64_t mask_ = 0;
    std::uint64_t position_ = 0;
  };
};

}  // namespace pinion::ring
