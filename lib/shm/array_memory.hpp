// The memory of a pool's shared arrays: one sealed memfd, which manager and workers map at the same
// address and all may write.
//
//   0                                                                              size
//   +---------+- - - - -+-------------------+- - - - - - - - - - - - - - - - - - - - -+
//   | array 1 | no      | array 2           | address range, no memory                |
//   |         | memory  |                   |                                         |
//   +---------+- - - - -+-------------------+- - - - - - - - - - - - - - - - - - - - -+
//
// It has its whole address range from the start, and a descriptor of it leaves only at births. So
// an array that is made later needs no message to any worker, and its address means the same
// everywhere. An array's memory is committed before it is used and punched out after, which takes
// it from all processes at once. There is no header: a worker could write over it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/os/fd.hpp"
#include "lib/os/mapping.hpp"

namespace pinion::shm {

class ArrayMemory {
 public:
  /// Reserves `range` bytes of address space. Throws `ResourceError` or `std::system_error`.
  explicit ArrayMemory(std::uint64_t range);

  /// Commits and populates a range that holds nothing. Throws `ResourceError`; then it holds
  /// nothing. O(bytes).
  void commit(std::uint64_t offset, std::uint64_t bytes);
  /// Gives the memory back. What is read there afterwards, in any process, is zero.
  void release(std::uint64_t offset, std::uint64_t bytes) noexcept;

  [[nodiscard]] std::byte* begin() const noexcept { return mapping_.begin(); }
  [[nodiscard]] std::uint64_t size() const noexcept { return mapping_.size(); }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  os::Fd fd_;
  os::Mapping mapping_;
};

/// Where the manager has its array memory, for a worker.
struct ArrayMemoryPlace {
  std::byte* begin = nullptr;
  std::uint64_t bytes = 0;
  bool inherited = false;  // the worker was forked, and has the mapping already
};

/// Maps a worker's view at the manager's address. Checks seals and size. Throws
/// `std::runtime_error` where that address is taken or what was given is something else.
os::Mapping attach_array_memory(int fd, const ArrayMemoryPlace& place);

}  // namespace pinion::shm
