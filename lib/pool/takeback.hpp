// Takes tasks back from workers that have not started them: to cancel, and to give idle workers
// something to do. Called by the baton's owner, with the lock held.
//
// EDGE claim, EDGE progress: see lib/ring/claim.hpp.
#pragma once

#include <cstdint>
#include <exception>
#include <vector>

#include "lib/pool/dispatcher.hpp"
#include "lib/pool/settler.hpp"
#include "lib/pool/state.hpp"

namespace pinion::pool {

class TakeBack {
 public:
  TakeBack(State& state, Settler& settler, Dispatcher& dispatcher) noexcept
      : state_(state), settler_(settler), dispatcher_(dispatcher) {}

  /// True when the entry now ends with `error` and nothing of it runs or will.
  bool cancel(LedgerEntry& entry, const std::exception_ptr& error);
  /// Cancels what has not started of maps of which an item has failed, and takes it from workers
  /// that are to be replaced.
  void take_back_due();
  /// The pool stops: ends all that waits or has provably not started.
  void stop_everything();
  /// Gives an idle worker the later half of what the busiest has not started, if it is stuck.
  /// Sends messages that were kept back. Returns whether it should be tried again soon.
  bool balance();

 private:
  struct Where {
    Lane* lane;
    std::uint16_t flight;
  };

  /// Of these flights of one worker, those that will provably never start; now revoked.
  std::vector<std::uint16_t> revoke(Lane& lane, const std::vector<std::uint16_t>& flights);
  /// Takes the items from `first` on from a plain chunk that runs. Returns the first item that is
  /// free now, `assigned` where none is.
  std::uint32_t cut(Lane& lane, std::uint16_t flight, std::uint32_t first);
  /// Asks a task that runs to stop.
  void ask_to_stop(Lane& lane, std::uint16_t flight);
  void end_waiting(Backlog& queue, const std::exception_ptr& error);
  bool cancel_single(LedgerEntry& entry, const std::exception_ptr& error);
  bool cancel_map(MapState& map, const std::exception_ptr& error);
  bool move_work();
  void take_all_back(Lane& lane);
  void take_back(Lane& lane, const std::vector<std::uint16_t>& flights);
  void move_half(Lane& from);

  State& state_;
  Settler& settler_;
  Dispatcher& dispatcher_;
};

}  // namespace pinion::pool
