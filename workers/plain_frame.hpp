// A plain task while it runs: it runs to its end, on the worker's own stack.
#pragma once

#include <pinion/detail/task_frame.hpp>

#include <cstdint>
#include <vector>

#include "lib/ring/messages.hpp"
#include "lib/shm/chunk_block.hpp"

namespace pinion::workers {

class Worker;

class PlainFrame final : public detail::TaskFrame {
 public:
  PlainFrame(Worker& worker, const ring::TaskMessage& message, std::uint64_t position)
      : worker_(worker), message_(message), position_(position) {}

  std::byte* begin_chunk(std::uint32_t stride) override;
  std::byte* item_block(std::uint32_t i, std::size_t bytes) override;
  void item_failed(std::uint32_t i) noexcept override;
  void stamp() noexcept override;

  [[nodiscard]] const ring::TaskMessage& message() const noexcept { return message_; }
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

  struct Block {
    std::uint64_t offset, bytes;
  };
  /// Blocks of the outcome, the chunk's own first.
  std::vector<Block> blocks;

 private:
  std::byte* block(std::size_t bytes) override;

  Worker& worker_;
  const ring::TaskMessage& message_;
  std::uint64_t position_;
  shm::ValueRef* refs_ = nullptr;
};

}  // namespace pinion::workers
