// After a worker's death: what it had under way is settled, exactly.
//
// A complete result in its ring has won. What it had provably not started goes to another worker;
// of a chunk, the items that were done keep their values and those after the one that ran go on
// elsewhere. Only what had started is lost. Called by the baton's owner, with the lock held.
#pragma once

#include <pinion/errors.hpp>

#include "lib/pool/collector.hpp"
#include "lib/pool/dispatcher.hpp"
#include "lib/pool/settler.hpp"
#include "lib/pool/state.hpp"

namespace pinion::pool {

class Burial {
 public:
  Burial(State& state, Settler& settler, Dispatcher& dispatcher, Collector& collector) noexcept
      : state_(state), settler_(settler), dispatcher_(dispatcher), collector_(collector) {}

  /// Drains, settles and takes the lane's process and segment away.
  void bury(Lane& lane, ExitStatus status);

 private:
  std::vector<std::uint16_t> flights_of(const Lane& lane);
  void settle(Lane& lane, std::uint16_t number, std::uint64_t claimed, ExitStatus status);
  void settle_chunk(Lane& lane, std::uint16_t number, ExitStatus status);
  void settle_coroutines(Lane& lane, std::uint16_t number, ExitStatus status);
  std::exception_ptr loss(const Lane& lane, const Flight& flight, ExitStatus status,
                          std::uint64_t item) const;
  void hold_arguments(Lane& lane, std::uint16_t number);
  bool copy_arguments(Flight& flight);
  void drop_segment(Lane& lane);

  State& state_;
  Settler& settler_;
  Dispatcher& dispatcher_;
  Collector& collector_;
};

}  // namespace pinion::pool
