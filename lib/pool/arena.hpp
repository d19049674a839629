// The pool's shared memory: its segments, what they may hold together, and the arguments' space.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "lib/pool/arrays.hpp"
#include "lib/shm/arena_layout.hpp"
#include "lib/shm/space.hpp"
#include "lib/topology/numa_memory.hpp"

namespace pinion::pool {

/// A worker's segment, and which memory node it was bound to.
struct WorkerSegment {
  std::shared_ptr<shm::Segment> segment;
  topology::MemoryBinding memory;
};

class Arena {
 public:
  /// Of a pool: how many workers, and how many places there are for their rings and bells. A
  /// thread that was abandoned keeps its place until it has ended. `local`: they are in this
  /// process, and write their segments through the mapping made here.
  struct Shape {
    unsigned workers = 0;
    unsigned seats = 0;
    shm::Capacity capacity{};
    bool local = false;
  };
  /// Makes the manager's segment and the bell page. `limit_bytes` 0: a quarter of what cgroup and
  /// machine have free. Throws `ResourceError`.
  Arena(const Shape& shape, std::uint64_t limit_bytes);

  /// A segment for a worker's new generation, on memory of `numa_node` where that can be (-1: any);
  /// the manager maps it read-only. Without the lock: it makes and populates memory.
  [[nodiscard]] WorkerSegment make_worker_segment(unsigned worker, std::uint32_t generation,
                                                  int numa_node) const;
  /// Counts it from now on; until `forget`.
  void adopt(const shm::Segment& segment) noexcept { committed_ += segment.committed(); }
  void forget(const shm::Segment& segment) noexcept { committed_ -= segment.committed(); }
  /// Commits at least `bytes` more of a worker's segment. False where the limit forbids it.
  bool extend(shm::Segment& segment, std::uint64_t bytes) noexcept;

  /// Space for arguments, growing as far as the limit allows.
  std::optional<std::uint64_t> take_arguments(std::uint64_t bytes);
  void give_arguments(std::uint64_t offset, std::uint64_t bytes) { space_.give(offset, bytes); }
  [[nodiscard]] std::uint64_t arguments_used() const noexcept { return space_.used(); }
  [[nodiscard]] std::byte* at(std::uint64_t offset) const noexcept {
    return manager_->begin() + offset;
  }
  /// Whether arguments of this size could ever be taken.
  [[nodiscard]] bool could_hold(std::uint64_t bytes) const noexcept;

  /// Reserves memory for a shared array, as far as the limit allows. Then `arrays()->make`.
  bool reserve_array(std::uint64_t bytes) noexcept;
  /// Empty once the pool has ended.
  [[nodiscard]] const std::shared_ptr<Arrays>& arrays() const noexcept { return arrays_; }

  /// The pool has ended: unmaps everything but what handles of arrays keep.
  void release() noexcept {
    manager_.reset();
    bells_.reset();
    arrays_.reset();
  }
  /// What a thread shares, and keeps beyond the pool's end.
  [[nodiscard]] const std::shared_ptr<shm::Segment>& manager() const noexcept { return manager_; }
  [[nodiscard]] const std::shared_ptr<shm::Segment>& bells() const noexcept { return bells_; }

  [[nodiscard]] const shm::ManagerLayout& layout() const noexcept { return layout_; }
  [[nodiscard]] const shm::WorkerLayout& worker_layout() const noexcept { return worker_layout_; }
  [[nodiscard]] const shm::BellLayout& bell_layout() const noexcept { return bell_layout_; }
  [[nodiscard]] std::byte* bell_memory() const noexcept { return bells_->begin(); }
  [[nodiscard]] int manager_fd() const noexcept { return manager_->fd(); }
  [[nodiscard]] int bells_fd() const noexcept { return bells_->fd(); }
  [[nodiscard]] std::uint64_t pool() const noexcept { return pool_; }
  [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }
  [[nodiscard]] std::uint64_t committed() const noexcept {
    return committed_ + (arrays_ != nullptr ? arrays_->committed() : 0);
  }
  shm::ModuleEntry* modules() const noexcept {
    return reinterpret_cast<shm::ModuleEntry*>(at(layout_.modules()));
  }

 private:
  [[nodiscard]] shm::SegmentHeader header(shm::SegmentKind kind) const noexcept;
  [[nodiscard]] std::uint64_t room() const noexcept;

  std::uint64_t pool_;
  shm::ManagerLayout layout_;
  shm::WorkerLayout worker_layout_;
  shm::BellLayout bell_layout_;
  std::uint64_t limit_;
  std::uint64_t range_;  // address space of a segment that may grow
  bool local_;
  std::shared_ptr<shm::Segment> manager_;
  std::shared_ptr<shm::Segment> bells_;
  std::shared_ptr<Arrays> arrays_;
  shm::Space space_;
  std::uint64_t committed_ = 0;  // without arrays
};

}  // namespace pinion::pool
