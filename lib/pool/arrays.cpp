#include "lib/pool/arrays.hpp"

#include <unistd.h>
#include <pinion/errors.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace pinion::pool {

using detail::ArrayHandle;
using detail::ArrayName;

namespace {

std::uint64_t page_bytes() noexcept {
  static const auto bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

/// Address space: always whole pages, never one of the small blocks that share some.
std::uint64_t range_of(std::uint64_t bytes) noexcept {
  return std::max(Arrays::rounded(bytes), shm::align_up(shm::Space::small_max + 1, page_bytes()));
}

std::uint64_t offset_of(const ArrayName& name) noexcept { return name.page * shm::page_bytes; }

}  // namespace

/// Gives the array back when the last of its kind goes.
struct Arrays::Block final : detail::ArrayBlock {
  explicit Block(std::shared_ptr<Arrays> of) noexcept : arrays(std::move(of)) {}
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() { arrays->drop(name.number); }

  std::shared_ptr<Arrays> arrays;
};

Arrays::Arrays(std::uint64_t pool, std::uint64_t range)
    : pool_(static_cast<std::uint32_t>(pool)),
      memory_(shm::align_up(range, page_bytes())),
      space_(0, memory_.size()) {}

std::uint64_t Arrays::rounded(std::uint64_t bytes) noexcept {
  return shm::align_up(bytes, page_bytes());
}

/// With the lock: a number and addresses, and what is needed to give them back.
ArrayName Arrays::take_name(std::uint64_t bytes) {
  if (free_.empty()) {
    if (slots_.size() >= shm::arrays_max - 1) {
      throw ResourceError("shared arrays of a pool", std::to_string(slots_.size()) + " are alive",
                          "drop handles, or make one array of several");
    }
    slots_.reserve(slots_.size() + 1);
    free_.reserve(slots_.capacity());
    slots_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
  }
  const auto offset = space_.take(range_of(bytes));
  if (!offset) {
    throw ResourceError("address space of shared arrays",
                        std::to_string(memory_.size() - space_.used()) + " bytes, in pieces",
                        "raise PoolOptions::arena_bytes, of which it is a multiple");
  }
  const std::uint32_t number = free_.back();
  free_.pop_back();
  Slot& slot = slots_[number - 1];
  slot.name = {pool_, number, slot.name.generation + 1,
               static_cast<std::uint32_t>(*offset / shm::page_bytes), bytes};
  return slot.name;
}

ArrayHandle Arrays::make(std::uint64_t bytes) {
  sweep();
  ArrayName name;
  try {
    const std::lock_guard lock(mutex_);
    name = take_name(bytes);
  } catch (...) {
    committed_ -= rounded(bytes);
    throw;
  }
  try {
    memory_.commit(offset_of(name), rounded(bytes));
    const std::lock_guard lock(mutex_);
    Slot& slot = slots_[name.number - 1];
    ArrayHandle handle = open(slot);
    slot.used = true;
    return handle;
  } catch (...) {
    give_back(name);
    throw;
  }
}

/// With the lock.
ArrayHandle Arrays::open(Slot& slot) {
  auto block = std::make_shared<Block>(shared_from_this());
  block->data = memory_.begin() + offset_of(slot.name);
  block->name = slot.name;
  slot.block = block;
  ++slot.blocks;
  if (std::exchange(slot.retired, false)) --retired_;
  return block;
}

ArrayHandle Arrays::find(const ArrayName& name) {
  if (guard_.same_process()) {
    const std::lock_guard lock(mutex_);
    if (name.number != 0 && name.number <= slots_.size()) {
      Slot& slot = slots_[name.number - 1];
      if (slot.used && slot.name == name) {
        if (auto handle = slot.block.lock()) return handle;
        return open(slot);
      }
    }
  }
  throw EncodingError("there is no shared array of this name in this pool (any more)");
}

void Arrays::drop(std::uint32_t number) noexcept {
  if (!guard_.same_process()) return;  // a forked child's copy of a handle
  {
    const std::lock_guard lock(mutex_);
    Slot& slot = slots_[number - 1];
    if (--slot.blocks != 0) return;
    slot.retired = true;
    ++retired_;
  }
  sweep();
}

void Arrays::heed(unsigned worker, std::shared_ptr<const shm::Segment> segment,
                  std::uint64_t marks_offset) {
  const std::lock_guard lock(mutex_);
  if (marks_.size() <= worker) marks_.resize(worker + 1);
  const auto* words = reinterpret_cast<const shm::ArrayMarks*>(segment->begin() + marks_offset);
  marks_[worker] = {std::move(segment), words};
}

void Arrays::forget(unsigned worker) noexcept {
  const std::lock_guard lock(mutex_);
  if (worker < marks_.size()) marks_[worker] = {};
}

/// With the lock.
bool Arrays::is_marked(std::uint32_t number) const noexcept {
  return std::any_of(marks_.begin(), marks_.end(), [number](const Marks& marks) {
    return marks.words != nullptr && (marks.words[number / 64].load(std::memory_order_acquire) &
                                      std::uint64_t{1} << number % 64) != 0;
  });
}

void Arrays::sweep() noexcept {
  if (retired_.load(std::memory_order_relaxed) == 0 || !guard_.same_process()) return;
  for (;;) {
    ArrayName name;
    {
      const std::lock_guard lock(mutex_);
      const auto slot = std::find_if(slots_.begin(), slots_.end(), [this](const Slot& s) {
        return s.retired && !is_marked(s.name.number);
      });
      if (slot == slots_.end()) return;
      slot->retired = slot->used = false;
      --retired_;
      name = slot->name;
    }
    give_back(name);  // without the lock: it takes its time
  }
}

void Arrays::give_back(const ArrayName& name) noexcept {
  memory_.release(offset_of(name), rounded(name.bytes));
  committed_ -= rounded(name.bytes);
  const std::lock_guard lock(mutex_);
  if (reuse_) space_.give(offset_of(name), range_of(name.bytes));
  free_.push_back(name.number);
}

}  // namespace pinion::pool
