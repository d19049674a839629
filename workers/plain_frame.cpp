#include "workers/plain_frame.hpp"

#include "lib/os/clock.hpp"
#include "workers/chunk_errors.hpp"
#include "workers/worker.hpp"

namespace pinion::workers {

std::byte* PlainFrame::block(std::size_t bytes) {
  const std::uint64_t offset = worker_.take_space(message_.flight, bytes);
  blocks.push_back({offset, bytes});
  return worker_.space().at(offset);
}

std::byte* PlainFrame::begin_chunk(std::uint32_t stride) {
  const std::uint64_t bytes = shm::chunk_block_bytes(count, stride, false);
  std::byte* const memory = block(bytes);
  auto* const header = new (memory) shm::ChunkBlock{};
  std::byte* const values = memory + sizeof *header;
  if (stride == variable) {
    refs_ = reinterpret_cast<shm::ValueRef*>(values);
    for (std::uint32_t i = 0; i < count; ++i) new (&refs_[i]) shm::ValueRef{};
  }
  ring::WorkerLine& line = worker_.line();
  line.block.store(blocks.front().offset, std::memory_order_relaxed);
  line.progress.store(0, std::memory_order_release);
  line.chunk.store(position_ + 1, std::memory_order_release);
  return values;
}

std::byte* PlainFrame::item_block(std::uint32_t i, std::size_t bytes) {
  std::byte* const memory = block(bytes);
  refs_[i].bytes = bytes;
  // The value is not complete yet; the cursor says when it is.
  refs_[i].offset.store(blocks.back().offset, std::memory_order_release);
  return memory;
}

void PlainFrame::item_failed(std::uint32_t i) noexcept {
  const auto encoded = worker_.encode_failure(std::current_exception(), first + i);
  record_error(worker_, blocks, message_.flight, i, shm::ItemError::exception, encoded);
}

void PlainFrame::stamp() noexcept {
  worker_.stamp(message_.flight, static_cast<std::uint64_t>(os::now_ns()));
}

}  // namespace pinion::workers
