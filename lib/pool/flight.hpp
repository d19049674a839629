// One task under way to one worker: what the manager needs to know when it is answered, or never
// is.
#pragma once

#include <cstdint>

#include "lib/pool/map_state.hpp"
#include "lib/ring/messages.hpp"

namespace pinion::pool {

struct Flight {
  std::uint64_t position = 0;
  LedgerEntry* entry = nullptr;  // of a single task
  MapState* map = nullptr;       // of a chunk; both null: free, or revoked
  std::uint64_t first = 0;
  std::uint32_t count = 0;       // items that went out
  std::uint32_t assigned = 0;    // items that are still this worker's
  std::uint8_t flags = 0;        // ring::TaskFlags
  bool revoked = false;          // taken back: only its answer is missing
  bool stopping = false;         // was asked to stop
  bool arguments_moved = false;  // their block is another's now
  bool bound = false;            // to this worker
  bool overdue = false;          // its time has passed; it is killed when the grace has, too
  std::uint8_t inline_bytes = 0;
  std::uint64_t code = 0;          // packed token
  ring::Payload payload{};         // as it went out: a move costs one slot, no encoding
  std::int64_t dispatched_ns = 0;  // of timed tasks
  std::int64_t overdue_stamp = 0;  // start of the item that it was killed for

  [[nodiscard]] bool used() const noexcept { return entry != nullptr || map != nullptr || revoked; }
};

}  // namespace pinion::pool
