// The items of a stream that are under way: taken from its range, and not yet by its consumer.
//
// To the scheduler it is a map that grows. Called with the pool's lock held, but for what says
// otherwise.
#pragma once

#include <pinion/detail/stream_core.hpp>

#include <atomic>
#include <boost/circular_buffer.hpp>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace pinion::pool {

struct MapState;

class StreamJob final : public detail::MapJob {
 public:
  StreamJob(detail::StreamCall call, bool in_order);

  [[nodiscard]] std::size_t chunk_bytes(std::uint64_t first, std::uint32_t count) const override;
  void write_chunk(std::uint64_t first, std::uint32_t count, detail::Writer& writer) const override;
  void take_value(std::uint64_t item, std::span<const std::byte> bytes) override;
  void take_values(std::uint64_t first, std::uint32_t count, const std::byte* bytes) override;
  void take_remote_error(std::uint64_t item, std::span<const std::byte> bytes) noexcept override;
  void take_error(std::uint64_t first, std::uint32_t count,
                  const std::exception_ptr& error) noexcept override;
  void take_stop(std::uint64_t first, std::uint32_t count,
                 const std::exception_ptr& error) noexcept override;

  /// Adds items; the strong guarantee. They are counted by the caller, in `items`.
  void add(std::vector<detail::StreamArgument>&& arguments);
  /// Hands over the next outcome, if there is one.
  bool take(detail::StreamItem& item);

  /// Outcomes that can be taken. Without the lock.
  [[nodiscard]] std::uint64_t ready() const noexcept {
    return ready_.load(std::memory_order_acquire);
  }
  /// Items that were added and not taken. Without the lock.
  [[nodiscard]] std::uint64_t outstanding() const noexcept {
    return outstanding_.load(std::memory_order_acquire);
  }

  /// Whether who waits for an item should look: there is one, or none is left.
  [[nodiscard]] bool worth_a_look() const noexcept { return ready() != 0 || outstanding() == 0; }

  MapState* map = nullptr;             // as long as it is open
  std::vector<detail::Watch> watches;  // of those who wait for an item

 private:
  struct Item {
    detail::StreamArgument argument;
    detail::StreamItem outcome;
    bool ended = false;
  };

  [[nodiscard]] const Item& at(std::uint64_t index) const { return items_.find(index)->second; }
  /// Null where it is not under way, which a worker may say of any number.
  [[nodiscard]] Item* find(std::uint64_t index) noexcept;
  void end(std::uint64_t index, Item& item) noexcept;

  const detail::StreamCall call_;
  const bool in_order_;
  std::unordered_map<std::uint64_t, Item> items_;
  std::uint64_t added_ = 0;
  std::uint64_t next_ready_ = 0;                 // in order: the first that has not ended
  std::uint64_t next_taken_ = 0;                 // in order
  boost::circular_buffer<std::uint64_t> ended_;  // else: in the order in which they ended
  std::atomic<std::uint64_t> ready_{0};
  std::atomic<std::uint64_t> outstanding_{0};
};

}  // namespace pinion::pool
