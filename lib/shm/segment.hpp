// A sealed memfd: one part of the arena.
//
// Its maker gives it an address range as large as it may ever become, and seals that size before
// any descriptor leaves. Memory is committed from the front, as it is needed: `fallocate` extends
// what is there in place, so every offset stays valid and a descriptor is passed only once. Nobody
// touches memory that is not committed, so a shortage is an error of `commit`, never a SIGBUS.
//
//   0        64                 committed                         size
//   +--------+------------------+---------------------------------+
//   | header | contents         | address range, no memory        |
//   +--------+------------------+---------------------------------+
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "lib/os/fd.hpp"
#include "lib/os/mapping.hpp"

namespace pinion::shm {

enum class SegmentKind : std::uint32_t { manager = 1, worker = 2, bells = 3 };

/// The first bytes of a segment. Written by its maker before anything else.
struct SegmentHeader {
  std::uint64_t magic;    // segment_magic
  std::uint32_t version;  // of this format
  SegmentKind kind;
  std::uint64_t layout;      // computed from the sizes of everything shared
  std::uint64_t pool;        // random number of the pool
  std::uint32_t worker;      // index; 0 in the manager's
  std::uint32_t generation;  // of the worker; 0 in the manager's
  std::uint64_t size;        // of the address range
  std::uint64_t page_bytes;  // of the kernel that made it
  std::uint64_t reserved;
};
static_assert(sizeof(SegmentHeader) == 64, "one cache line, so that contents stay aligned");

inline constexpr std::uint64_t segment_magic = 0x6e6f696e69702e31;  // "1.pinion" in memory order
inline constexpr std::uint32_t segment_version = 1;

/// Who may write after it is sealed.
enum class Sealed {
  for_all,          ///< size only: whoever maps it may write
  future_read_only  ///< no new writable mapping can be made, not even by the maker
};

class Segment {
 public:
  Segment() = default;

  /// What is done to the address range before any memory is committed: a memory node is chosen.
  using Prepare = std::function<void(std::byte* begin, std::uint64_t size)>;

  /// Makes a segment of `size` bytes of address range, with its first `committed` bytes committed
  /// and populated, mapped here with `protection`. Throws `ResourceError` or `std::system_error`,
  /// and what `prepare` throws.
  Segment(const char* name, std::uint64_t size, std::uint64_t committed, Sealed sealed,
          SegmentHeader header, int protection, const Prepare& prepare = {});

  /// Commits memory up to `committed` bytes from the start. Throws `ResourceError`; what was
  /// committed stays.
  void commit(std::uint64_t committed);

  [[nodiscard]] std::byte* begin() const noexcept { return mapping_.begin(); }
  [[nodiscard]] std::uint64_t size() const noexcept { return mapping_.size(); }
  [[nodiscard]] std::uint64_t committed() const noexcept { return committed_; }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(mapping_); }

 private:
  os::Fd fd_;
  os::Mapping mapping_;
  std::uint64_t committed_ = 0;
  bool writable_ = false;
};

/// A worker's view of a segment that it was given: checks seals, size and header before it is
/// used. Throws `std::runtime_error` that says what differs.
os::Mapping attach_segment(int fd, int protection, const SegmentHeader& expected);

/// A memfd that can be sealed. Throws `ResourceError` or `std::system_error`.
os::Fd make_memfd(const char* name);
/// Gives it its address range. Throws `ResourceError` beyond RLIMIT_FSIZE.
void set_size(int fd, std::uint64_t size);

/// Makes the pages of a committed range present in this process.
void populate(std::byte* begin, std::uint64_t bytes, bool writable) noexcept;

}  // namespace pinion::shm
