// Ends tasks: the one place where an outcome is decided. Called by the collector's owner, with the
// lock held.
#pragma once

#include <exception>
#include <span>

#include "lib/pool/state.hpp"

namespace pinion::pool {

class Settler {
 public:
  explicit Settler(State& state) noexcept : state_(state) {}

  // A single task:
  void value_inline(LedgerEntry& entry, std::span<const std::byte> bytes);
  void value_copied(LedgerEntry& entry, std::span<const std::byte> bytes);
  void value_kept(LedgerEntry& entry, Lane& lane, std::uint64_t offset, std::uint64_t bytes);
  void remote_error(LedgerEntry& entry, std::span<const std::byte> bytes);
  void local_error(LedgerEntry& entry, std::exception_ptr error);

  // Items of a map:
  void item_value(MapState& map, std::uint64_t item, std::span<const std::byte> bytes);
  void item_values(MapState& map, std::uint64_t first, std::uint32_t count, const std::byte* bytes);
  void item_remote_error(MapState& map, std::uint64_t item, std::span<const std::byte> bytes);
  void items_local_error(MapState& map, std::uint64_t first, std::uint32_t count,
                         const std::exception_ptr& error);
  /// Ends without an outcome of their own: cancelled, or the pool was terminated.
  void items_stopped(MapState& map, std::uint64_t first, std::uint32_t count,
                     const std::exception_ptr& error);
  /// A stream takes no more of its range.
  void close_input(MapState& map);
  /// The map as a whole, once its last item has ended and none comes; then `map` is gone.
  bool finish_map(MapState& map);

  /// A result that lies in a worker's segment is copied to memory of our own. False where it is
  /// being read.
  bool copy_out(LedgerEntry& entry);

  static detail::Side& side_of(LedgerEntry& entry);
  /// Frees an entry that nobody refers to any more.
  void release(LedgerEntry& entry);
  /// With the lock held: takes its side off an entry, and gives its result block back.
  [[nodiscard]] detail::Side* detach(LedgerEntry& entry) noexcept;

 private:
  bool retry(MapState& map, std::uint64_t item) noexcept;
  std::uint32_t end(LedgerEntry& entry) noexcept;
  std::uint32_t end_and_tell(LedgerEntry& entry, detail::Side& side);
  void finish(LedgerEntry& entry, bool failed);
  void count_down(std::uint64_t items) noexcept;
  void count_items(MapState& map, std::uint32_t count, bool failed);

  State& state_;
};

}  // namespace pinion::pool
