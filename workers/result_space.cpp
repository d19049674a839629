#include "workers/result_space.hpp"

#include "lib/os/ensure.hpp"
#include "lib/shm/segment.hpp"

namespace pinion::workers {

ResultSpace::ResultSpace(std::byte* segment, std::uint64_t begin, const ring::ManagerLine& line)
    : segment_(segment), line_(line), space_(begin, line.granted.load(std::memory_order_acquire)) {
  shm::populate(segment + begin, space_.capacity(), true);
}

std::optional<std::uint64_t> ResultSpace::take(std::uint64_t bytes) {
  // Often enough that warm blocks come around again, seldom enough to be free.
  if (++since_reclaim_ >= 32) reclaim();
  if (auto offset = space_.take(bytes)) return offset;
  reclaim();
  if (auto offset = space_.take(bytes)) return offset;
  while (extend()) {
    if (auto offset = space_.take(bytes)) return offset;
  }
  return std::nullopt;
}

void ResultSpace::free_when_drained(std::uint64_t position, std::uint64_t offset,
                                    std::uint64_t bytes) {
  published_.push_back({position, offset, bytes});
}

void ResultSpace::give_back(std::uint64_t offset) {
  const auto it = kept_.find(offset);
  PINION_ENSURE(it != kept_.end());
  space_.give(offset, it->second);
  kept_.erase(it);
}

void ResultSpace::reclaim() {
  since_reclaim_ = 0;
  if (published_.empty()) return;
  const std::uint64_t drained = line_.drained.load(std::memory_order_acquire);
  while (!published_.empty() && published_.front().position < drained) {
    space_.give(published_.front().offset, published_.front().bytes);
    published_.pop_front();
  }
}

bool ResultSpace::extend() {
  const std::uint64_t granted = line_.granted.load(std::memory_order_acquire);
  if (granted <= space_.end()) return false;
  shm::populate(segment_ + space_.end(), granted - space_.end(), true);
  space_.extend(granted);
  return true;
}

}  // namespace pinion::workers
