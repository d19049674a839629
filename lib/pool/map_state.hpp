// How far a map has come. Called with the pool's lock held.
#pragma once

#include <pinion/detail/pool_core.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <utility>
#include <vector>

#include "lib/pool/ledger.hpp"

namespace pinion::pool {

/// Items [first, first + count).
struct ItemRange {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
};

struct MapState {
  LedgerEntry* entry = nullptr;
  detail::MapJob* job = nullptr;
  std::uint64_t code = 0;  // packed token
  TaskOptions options;
  bool timed = false;
  bool listed = false;            // in the backlog
  std::exception_ptr stop_error;  // cancelled or terminated: nothing more starts
  std::uint64_t next = 0;         // first item never given out
  std::uint64_t ended = 0;        // items with an outcome
  std::uint32_t cost_ns = 0;      // of an item; 0: not known
  std::uint32_t chunk_items_max = 1 << 24;
  std::uint32_t round_chunks = 0;     // of factoring: chunks that are left of the round
  std::uint64_t round_items = 0;      // ... and the size of each
  bool failing = false;               // with fail_fast: an item has failed
  std::vector<ItemRange> taken_back;  // given out, not started, to be given out again

  [[nodiscard]] bool stopping() const noexcept { return stop_error != nullptr; }
  [[nodiscard]] std::uint64_t unassigned() const noexcept {
    std::uint64_t n = job->items - next;
    for (const ItemRange& range : taken_back) n += range.count;
    return n;
  }
  [[nodiscard]] bool exhausted() const noexcept { return next == job->items && taken_back.empty(); }

  /// The next range to give out, of at most `count` items. There is one.
  ItemRange take(std::uint32_t count) {
    if (!taken_back.empty()) {
      ItemRange& range = taken_back.back();
      const std::uint32_t n = std::min(count, range.count);
      const ItemRange taken{range.first, n};
      range.first += n;
      range.count -= n;
      if (range.count == 0) taken_back.pop_back();
      return taken;
    }
    const auto n = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, job->items - next));
    const ItemRange taken{next, n};
    next += n;
    return taken;
  }

  /// How many items the next chunk has. Called once for each.
  [[nodiscard]] std::uint32_t chunk_items(unsigned workers) noexcept {
    const std::uint64_t left = unassigned();
    std::uint64_t n = 1;
    switch (job->chunking.kind()) {
      case Chunking::Kind::fixed:
        n = job->chunking.items();
        break;
      case Chunking::Kind::guided:
        n = left / workers;
        break;
      case Chunking::Kind::factoring:
        if (round_chunks == 0) {
          round_chunks = workers;
          round_items = (left + 2 * std::uint64_t{workers} - 1) / (2 * std::uint64_t{workers});
        }
        --round_chunks;
        n = round_items;
        break;
      case Chunking::Kind::automatic:
        n = automatic_items(left, workers);
        break;
    }
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(n, 1, chunk_items_max));
  }

  /// A chunk of `count` items found no room in the arena.
  void shrink_chunks(std::uint32_t count) noexcept {
    chunk_items_max = std::max<std::uint32_t>(1, count / 2);
  }

  [[nodiscard]] std::uint64_t automatic_items(std::uint64_t left, unsigned workers) const noexcept {
    if (job->coroutine) return 1;
    std::uint64_t n = job->items / (std::uint64_t{64} * workers);
    if (job->streams) n = cost_ns != 0 ? chunk_items_max : 1;  // it has no length: by cost alone
    if (cost_ns != 0) n = std::min<std::uint64_t>(n, chunk_ns_max / cost_ns);
    n = std::min<std::uint64_t>(n,
                                chunk_bytes_max / std::max<std::size_t>(1, job->item_bytes_hint));
    return std::min(n, left / (std::uint64_t{2} * workers));
  }

  static constexpr std::uint64_t chunk_ns_max = 1'000'000;  // measured work of an automatic chunk
  static constexpr std::uint64_t chunk_bytes_max = 256 << 10;  // both ways: stays in L2
};

}  // namespace pinion::pool
