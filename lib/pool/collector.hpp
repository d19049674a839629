// Takes results out of the rings and ends their tasks. Called by the baton's owner.
#pragma once

#include "lib/pool/chunk_outcomes.hpp"
#include "lib/pool/dispatcher.hpp"
#include "lib/pool/settler.hpp"
#include "lib/pool/state.hpp"

namespace pinion::pool {

class Collector {
 public:
  Collector(State& state, Settler& settler, Dispatcher& dispatcher) noexcept
      : state_(state), settler_(settler), dispatcher_(dispatcher) {}

  /// Takes what has arrived, and gives out what waits. False if there was nothing. Takes the lock.
  bool collect();
  /// One worker's results. With the lock held.
  bool drain(Lane& lane);
  /// The outcomes of the items of a chunk below `done`. With `marks`, each must be marked as ended.
  /// False where the worker's memory makes no sense. With the lock held.
  bool settle_items(Lane& lane, Flight& flight, std::uint64_t block, std::uint32_t done,
                    bool marks);
  /// Item `i` of a chunk, which is `item` of its map and has an outcome.
  void settle_item(const Lane& lane, MapState& map, std::uint64_t item,
                   const ChunkOutcomes& outcomes, std::uint32_t i);

 private:
  static bool next(Lane& lane, ring::ResultMessage& message) noexcept;
  bool handle_or_keep(Lane& lane, const ring::ResultMessage& message);
  bool handle(Lane& lane, const ring::ResultMessage& message);
  bool handle_answer(Lane& lane, Flight& flight, const ring::ResultMessage& message);
  bool handle_single(Lane& lane, LedgerEntry& entry, const ring::ResultMessage& message);
  bool handle_chunk(Lane& lane, Flight& flight, const ring::ResultMessage& message);
  bool handle_one_item(Lane& lane, Flight& flight, const ring::ResultMessage& message);
  bool handle_need_space(Lane& lane, const ring::ResultMessage& message);
  void item_error(const Lane& lane, MapState& map, std::uint64_t first, std::uint32_t count,
                  std::span<const std::byte> bytes);
  void handle_ready(Lane& lane, const ring::ResultMessage& message);
  void handle_start_failed(Lane& lane, const ring::ResultMessage& message);
  std::optional<std::span<const std::byte>> bytes_of(const Lane& lane,
                                                     const ring::ResultMessage& message) const;
  void breach(Lane& lane, const char* what);

  State& state_;
  Settler& settler_;
  Dispatcher& dispatcher_;
};

}  // namespace pinion::pool
