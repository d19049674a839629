#include "lib/pool/chunk_outcomes.hpp"

#include <algorithm>

#include "lib/pool/remote_exception.hpp"

namespace pinion::pool {

namespace {

std::uint64_t load_once(const void* from) noexcept {
  return __atomic_load_n(static_cast<const std::uint64_t*>(from), __ATOMIC_ACQUIRE);
}

}  // namespace

std::optional<ChunkOutcomes> ChunkOutcomes::read(const Lane& lane, std::uint64_t block,
                                                 std::uint32_t count, std::uint32_t stride,
                                                 bool marks) {
  if (block % 8 != 0) return std::nullopt;
  const std::byte* base = lane.checked(block, shm::chunk_block_bytes(count, stride, marks));
  if (base == nullptr) return std::nullopt;
  ChunkOutcomes outcomes(lane, count, stride);
  outcomes.values_ = base + sizeof(shm::ChunkBlock);
  if (marks) outcomes.marks_ = base + shm::marks_at(count, stride);
  if (!outcomes.read_errors(load_once(base))) return std::nullopt;
  return outcomes;
}

bool ChunkOutcomes::read_errors(std::uint64_t at) {
  const std::uint64_t errors_max =
      std::min<std::uint64_t>(count_, bytes_left_ / sizeof(shm::ErrorRecord));
  while (at != 0) {
    if (errors_.size() == errors_max || at % 8 != 0) return false;  // longer than it can be
    const std::byte* record = lane_.checked(at, sizeof(shm::ErrorRecord));
    if (record == nullptr) return false;
    const std::uint64_t next = load_once(record);
    const std::uint64_t what = load_once(record + 8);  // item and kind
    const std::uint64_t bytes = load_once(record + 16);
    const auto item = static_cast<std::uint32_t>(what);
    const auto kind = static_cast<std::uint32_t>(what >> 32);
    const std::byte* text = lane_.checked(at + sizeof(shm::ErrorRecord), bytes);
    if (item >= count_ || kind > static_cast<std::uint32_t>(shm::ItemError::timed_out) ||
        text == nullptr || bytes > exception_bytes_max) {
      return false;
    }
    errors_.push_back({item, static_cast<shm::ItemError>(kind), {text, bytes}});
    at = next;
  }
  std::sort(errors_.begin(), errors_.end(),
            [](const Error& a, const Error& b) { return a.item < b.item; });
  return std::adjacent_find(errors_.begin(), errors_.end(), [](const Error& a, const Error& b) {
           return a.item == b.item;
         }) == errors_.end();
}

const ChunkOutcomes::Error* ChunkOutcomes::error_of(std::uint32_t item) const noexcept {
  const auto it = std::lower_bound(errors_.begin(), errors_.end(), item,
                                   [](const Error& e, std::uint32_t i) { return e.item < i; });
  return it != errors_.end() && it->item == item ? &*it : nullptr;
}

std::optional<std::span<const std::byte>> ChunkOutcomes::value(std::uint32_t item) const {
  if (stride_ != shm::variable_stride) {
    return std::span(values_ + std::uint64_t{item} * stride_, stride_);
  }
  const std::byte* ref = values_ + item * sizeof(shm::ValueRef);
  const std::uint64_t offset = load_once(ref);
  const std::uint64_t bytes = load_once(ref + 8);
  const std::byte* at = lane_.checked(offset, bytes);
  if (at == nullptr || bytes > bytes_left_) return std::nullopt;
  bytes_left_ -= bytes;
  return std::span(at, bytes);
}

shm::ItemMark ChunkOutcomes::mark(std::uint32_t item) const noexcept {
  const auto mark =
      __atomic_load_n(reinterpret_cast<const std::uint8_t*>(marks_) + item, __ATOMIC_ACQUIRE);
  return mark == shm::item_ended     ? shm::item_ended
         : mark == shm::item_started ? shm::item_started
                                     : shm::item_unstarted;
}

}  // namespace pinion::pool
