// Errors of a chunk's items, as records in its result block.
#pragma once

#include <cstring>
#include <span>
#include <vector>

#include "lib/shm/chunk_block.hpp"
#include "workers/plain_frame.hpp"
#include "workers/worker.hpp"

namespace pinion::workers {

/// Puts an error in front of the list of the chunk whose block is `blocks.front()`. Where there is
/// no memory for its text the record has none, which reads as a shortage of memory.
inline void record_error(Worker& worker, std::vector<PlainFrame::Block>& blocks,
                         std::uint16_t flight, std::uint32_t item, shm::ItemError kind,
                         std::span<const std::byte> text) noexcept {
  auto* const chunk = reinterpret_cast<shm::ChunkBlock*>(worker.space().at(blocks.front().offset));
  std::uint64_t offset = 0;
  std::uint64_t bytes = sizeof(shm::ErrorRecord) + text.size();
  try {
    offset = worker.take_space(flight, bytes);
  } catch (...) {
    text = {};
    bytes = sizeof(shm::ErrorRecord);
    offset = worker.take_space_or_die(bytes);
  }
  blocks.push_back({offset, bytes});
  std::byte* const memory = worker.space().at(offset);
  const shm::ErrorRecord record{chunk->errors.load(std::memory_order_relaxed), item, kind,
                                text.size()};
  std::memcpy(memory, &record, sizeof record);
  if (!text.empty()) std::memcpy(memory + sizeof record, text.data(), text.size());
  chunk->errors.store(offset, std::memory_order_release);
}

}  // namespace pinion::workers
