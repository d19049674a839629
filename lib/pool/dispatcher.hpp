// Gives tasks to workers: at once where one has room, else from the backlog. With the lock held.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/pool/settler.hpp"
#include "lib/pool/state.hpp"

namespace pinion::pool {

class Dispatcher {
 public:
  Dispatcher(State& state, Settler& settler) : state_(state), settler_(settler) {
    loads_.reserve(state.workers);
  }

  /// A single task with arguments that fit its slot. Where no worker has room it waits in its
  /// entry.
  void submit(LedgerEntry& entry, std::uint64_t code, std::uint8_t flags,
              std::span<const std::byte> arguments);
  /// Shared memory for larger arguments, if a worker could take the task now.
  std::optional<std::uint64_t> reserve(std::uint64_t bytes);
  /// What was reserved is not needed after all.
  void unreserve(std::uint64_t offset, std::uint64_t bytes) noexcept;
  /// A single task whose arguments lie in shared memory.
  void submit(LedgerEntry& entry, std::uint64_t code, std::uint8_t flags, ring::BlockRef arguments);
  /// A single task whose arguments wait in private memory.
  void submit(LedgerEntry& entry, std::uint64_t code, std::uint8_t flags,
              std::vector<std::byte> arguments);
  void submit(MapState& map);

  /// Gives out what waits, as far as workers have room.
  void feed();
  void feed_if_possible() noexcept;
  /// An entry that has left its queue ends with an error, and gives its arguments' memory back.
  void end_waiting(LedgerEntry& entry, const std::exception_ptr& error);
  /// A task that a worker has not started goes back to wait, ahead of the others. Frees the flight.
  /// The strong guarantee; after `reserve_requeue` it does not throw.
  void requeue(Lane& lane, std::uint16_t flight);
  /// A single task has failed: whether its options say that it is started again, and it has not
  /// failed too often.
  [[nodiscard]] bool may_retry(const Flight& flight) const noexcept;
  /// If it may, it goes back to be started again. Else false.
  bool retry(Lane& lane, std::uint16_t flight);
  void reserve_requeue(const Lane& lane, std::span<const std::uint16_t> flights);

  /// Items of a map that nobody has started wait again; of one that is being stopped, they end. The
  /// caller looks whether the map has ended.
  void give_back(MapState& map, ItemRange range);

  /// The flight was answered, or never will be: its credit and its arguments are free again.
  void free_flight(Lane& lane, std::uint16_t flight);
  /// After `outstanding`, `depth` or the state has changed.
  void update(Lane& lane) noexcept;

  /// A task has ended with fewer items started than were given: the worker may be given others.
  void refund(Lane& lane, std::uint32_t items) noexcept;
  /// Tells a worker to leave that is to be replaced and has nothing more to do.
  void retire_if_due(Lane& lane);
  /// Tells a worker without tasks to leave.
  void let_go(Lane& lane);

  /// A message that is no task. Kept back while the worker has not read those before.
  void control(Lane& lane, ring::TaskMessage message);
  void flush_controls(Lane& lane);
  /// Of all workers. True if some are still kept back: then it is to be called again soon.
  bool flush_all_controls();
  /// Result blocks that nobody reads any more.
  void flush_give_backs(Lane& lane, bool all);

 private:
  Lane* choose();
  Lane* choose_open();
  bool send(Lane& lane, LedgerEntry& entry);
  [[nodiscard]] bool nothing_will_end() const noexcept;
  bool make_room(Backlog& queue);
  bool send_first(Backlog& queue, Lane& lane);
  bool drop_exhausted(Backlog& queue);
  void feed_bound();
  void fail_first(Lane& lane);
  void not_encoded(MapState& map, ItemRange range, const std::exception_ptr& error);
  bool send_chunk(Lane& lane, MapState& map);
  bool send_range(Lane& lane, MapState& map, ItemRange range);
  bool pack(LedgerEntry& entry, ring::TaskMessage& message);
  void push(Lane& lane, ring::TaskMessage& message, LedgerEntry* entry, MapState* map);
  [[nodiscard]] std::uint32_t depth_min(bool coroutine) const noexcept;

  static constexpr std::uint32_t short_item_ns = 100;

  State& state_;
  Settler& settler_;
  unsigned reserved_ = 0;  // blocks of submits that are being written
  unsigned next_lane_ = 0;
  std::vector<WorkerLoad> loads_;  // what a scheduler of the user's is shown
};

}  // namespace pinion::pool
