#include "workers/held_arrays.hpp"

#include <pinion/errors.hpp>

#include <utility>

#include "lib/shm/block_range.hpp"

namespace pinion::workers {

/// Takes the mark away when the last of its kind goes.
struct HeldArrays::Block final : detail::ArrayBlock {
  explicit Block(std::shared_ptr<HeldArrays> of) noexcept : arrays(std::move(of)) {}
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() { arrays->drop(name.number); }

  std::shared_ptr<HeldArrays> arrays;
};

detail::ArrayHandle HeldArrays::find(const detail::ArrayName& name) {
  const std::uint64_t offset = name.page * shm::page_bytes;
  if (name.pool != arrays_.pool) {
    throw EncodingError("a shared array can be used in the workers of its own pool only");
  }
  if (name.number == 0 || name.number >= shm::arrays_max ||
      !shm::lies_within(offset, name.bytes, 0, arrays_.bytes)) {
    throw EncodingError("a shared array lies outside its pool's memory");
  }
  const std::lock_guard lock(mutex_);
  Held& held = held_[name.number];
  if (auto handle = held.block.lock(); handle != nullptr && handle->name == name) return handle;
  auto block = std::make_shared<Block>(shared_from_this());
  block->data = arrays_.begin + offset;
  block->name = name;
  held.block = block;
  if (held.blocks++ == 0) {
    arrays_.marks[name.number / 64].fetch_or(std::uint64_t{1} << name.number % 64,
                                             std::memory_order_release);
  }
  return block;
}

void HeldArrays::drop(std::uint32_t number) noexcept {
  if (!guard_.same_process()) return;  // a child that a task has forked
  const std::lock_guard lock(mutex_);
  if (--held_.find(number)->second.blocks != 0 || closed_) return;
  arrays_.marks[number / 64].fetch_and(~(std::uint64_t{1} << number % 64),
                                       std::memory_order_release);
}

void HeldArrays::close() noexcept {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

}  // namespace pinion::workers
