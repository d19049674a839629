// A pool without processes: what its workers would answer is said by a test.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>

#include "lib/pool/collector.hpp"
#include "lib/pool/dispatcher.hpp"
#include "lib/pool/locked.hpp"
#include "lib/pool/settler.hpp"
#include "lib/pool/side.hpp"
#include "lib/pool/takeback.hpp"
#include "lib/pool/turns.hpp"

namespace pinion::tests {

inline constexpr std::int64_t far_ns = 10'000'000'000;

inline topology::Plan plan_for_one() {
  topology::Plan plan;
  plan.workers.resize(1);
  return plan;
}

class Workerless {
 public:
  Workerless()
      : ledger_(pool::Ledger::make()),
        state(PoolOptions{}, plan_for_one(), *ledger_),
        settler(state),
        dispatcher_(state, settler),
        collector_(state, settler, dispatcher_),
        takeback_(state, settler, dispatcher_),
        turns(state, collector_, takeback_) {}

  detail::LedgerEntry& open() {
    const pool::Locked lock(state);
    state.pending.store(state.pending.load() + 1);
    return ledger_->take();
  }
  /// As the service thread does it: by taking the baton from whoever waits with it.
  template <class Settle>
  void settle(Settle end_it) {
    const pool::Turns::Held held = turns.take_urgently();
    const pool::Locked lock(state);
    end_it();
  }
  void settle_value(detail::LedgerEntry& entry, std::uint64_t value) {
    std::array<std::byte, sizeof value> bytes;
    std::memcpy(bytes.data(), &value, sizeof value);
    settle([&] { settler.value_inline(entry, bytes); });
  }
  /// Whether no entry is given out twice: it was given back once only.
  bool all_different(std::size_t count) {
    std::set<detail::LedgerEntry*> seen;
    const pool::Locked lock(state);
    for (std::size_t i = 0; i < count; ++i) {
      if (!seen.insert(&ledger_->take()).second) return false;
    }
    return true;
  }

 private:
  std::unique_ptr<pool::Ledger, pool::Ledger::Discard> ledger_;

 public:
  pool::State state;
  pool::Settler settler;

 private:
  pool::Dispatcher dispatcher_;
  pool::Collector collector_;
  pool::TakeBack takeback_;

 public:
  pool::Turns turns;
};

inline std::uint64_t value_of(const detail::LedgerEntry& entry) {
  std::uint64_t value = 0;
  std::memcpy(&value, entry.data, sizeof value);
  return value;
}

}  // namespace pinion::tests
