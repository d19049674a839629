// The shared arrays of a pool, as the manager keeps them: who has handles, and which memory is
// whose. Everything but the workers' marks is private memory.
//
// An array lives while a handle does. Handles in the manager are counted. A worker that has any
// marks the array in its own segment, before it answers the task that brought it; so whoever drops
// the manager's last handle, and has waited for the task, sees the mark. Such an array stays until
// somebody looks again and finds no mark: at the next array that is made or dropped, at a worker's
// death, and when memory is short. A mark is a witness: a liar keeps memory from its own pool, up
// to the limit.
//
// Thread safety: any thread; no lock of the pool is taken under this one's.
#pragma once

#include <pinion/detail/array_block.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "lib/os/fork_guard.hpp"
#include "lib/shm/arena_layout.hpp"
#include "lib/shm/array_memory.hpp"
#include "lib/shm/space.hpp"

namespace pinion::pool {

class Arrays : public std::enable_shared_from_this<Arrays> {
 public:
  /// For the pool of this random number, with so much address space. Throws `ResourceError` or
  /// `std::system_error`.
  Arrays(std::uint64_t pool, std::uint64_t range);
  Arrays(const Arrays&) = delete;
  Arrays& operator=(const Arrays&) = delete;

  /// What an array of `bytes` takes.
  static std::uint64_t rounded(std::uint64_t bytes) noexcept;
  /// Counts `rounded(bytes)`: the caller has compared with the limit. Then `make`.
  void reserve(std::uint64_t bytes) noexcept { committed_ += rounded(bytes); }
  /// A new array, zeroed, of memory that was reserved. Throws `ResourceError` or `std::bad_alloc`;
  /// then nothing is reserved. O(bytes).
  detail::ArrayHandle make(std::uint64_t bytes);
  /// Another handle, for a name that was sent. Throws `EncodingError` where no array has it.
  detail::ArrayHandle find(const detail::ArrayName& name);

  /// From now on the marks of this worker count; before it can be given a task.
  void heed(unsigned worker, std::shared_ptr<const shm::Segment> segment,
            std::uint64_t marks_offset);
  /// Its process is dead.
  void forget(unsigned worker) noexcept;
  /// One that does not die may write anywhere, some day: no address is used twice from now on.
  void distrust() noexcept { reuse_ = false; }
  /// Gives back what no worker marks any more.
  void sweep() noexcept;

  /// Bytes that are committed or reserved.
  [[nodiscard]] std::uint64_t committed() const noexcept { return committed_; }
  [[nodiscard]] const shm::ArrayMemory& memory() const noexcept { return memory_; }

 private:
  struct Block;
  /// A number that arrays have, one after the other.
  struct Slot {
    std::weak_ptr<const detail::ArrayBlock> block;
    detail::ArrayName name;
    unsigned blocks = 0;   // that have not gone; the last of them retires it
    bool used = false;     // it can be found
    bool retired = false;  // no handle is left in the manager
  };
  struct Marks {
    std::shared_ptr<const shm::Segment> segment;
    const shm::ArrayMarks* words = nullptr;
  };

  void drop(std::uint32_t number) noexcept;
  detail::ArrayHandle open(Slot& slot);
  detail::ArrayName take_name(std::uint64_t bytes);
  [[nodiscard]] bool is_marked(std::uint32_t number) const noexcept;
  void give_back(const detail::ArrayName& name) noexcept;

  const std::uint32_t pool_;
  shm::ArrayMemory memory_;
  os::ForkGuard guard_;
  std::atomic<std::uint64_t> committed_{0};
  std::atomic<std::uint32_t> retired_{0};  // slots that are
  std::atomic<bool> reuse_{true};
  std::mutex mutex_;                 // guards what follows
  shm::Space space_;                 // of addresses
  std::vector<Slot> slots_;          // by number - 1
  std::vector<std::uint32_t> free_;  // numbers
  std::vector<Marks> marks_;         // by worker
};

}  // namespace pinion::pool
