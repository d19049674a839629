// boost::lockfree::spsc_queue behind the same handles, for trusted peers.
//
// Its two indices lie in the shared memory and have two readers that trust them, so both sides must
// be able to write the segment: a stray write into them crashes the other side. Built with
// -Dring=boost, and measured beside ours in perf/ring.
#pragma once

#include <boost/lockfree/spsc_queue.hpp>
#include <new>

#include "lib/os/ensure.hpp"
#include "lib/ring/slot.hpp"

namespace pinion::ring {

template <class Message>
class BoostRing {
  struct alignas(line_bytes) Cell {
    Message message;
  };
  static constexpr std::size_t capacity_max = 1024;
  using Queue = boost::lockfree::spsc_queue<Cell, boost::lockfree::capacity<capacity_max>>;

 public:
  static constexpr const char* name = "boost";
  static constexpr bool shared_indices = true;

  static constexpr std::size_t bytes(std::size_t) noexcept { return sizeof(Queue); }

  class Producer {
   public:
    Producer() noexcept = default;
    /// Makes the queue; the consumer is made after it, from the same memory.
    Producer(std::byte* memory, std::size_t capacity, std::uint64_t position) noexcept
        : queue_(new (memory) Queue), position_(position) {
      PINION_ENSURE(capacity <= capacity_max);
    }
    struct Attach {};
    Producer(Attach, std::byte* memory, std::size_t, std::uint64_t position) noexcept
        : queue_(reinterpret_cast<Queue*>(memory)), position_(position) {}

    [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
    void push(const Message& message) noexcept {
      PINION_ENSURE(queue_->push(Cell{message}));
      ++position_;
    }

   private:
    Queue* queue_ = nullptr;
    std::uint64_t position_ = 0;
  };

  class Consumer {
   public:
    Consumer() noexcept = default;
    Consumer(std::byte* memory, std::size_t, std::uint64_t position) noexcept
        : queue_(reinterpret_cast<Queue*>(memory)), position_(position) {}

    [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
    [[nodiscard]] bool ready() const noexcept { return queue_->read_available() != 0; }
    bool take(Message& message) noexcept {
      Cell cell;
      if (!queue_->pop(cell)) return false;
      message = cell.message;
      ++position_;
      return true;
    }
    void fetch_again(Message&) const noexcept {}  // a taken message is not in the queue any more

   private:
    Queue* queue_ = nullptr;
    std::uint64_t position_ = 0;
  };
};

}  // namespace pinion::ring
