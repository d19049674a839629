// The blocks that are read: two files, made once for all rivals and removed at the program's end,
// and the order, which is random and the same for every rival.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "perf/sizes.hpp"

namespace pinion::perf {

/// Where the blocks come from: the page cache, or the disk, which wants aligned memory.
enum class From { cache, disk };

/// Throws `Skip` where a file cannot be made, or its file system has no direct I/O.
const std::string& file_of(From from);

constexpr int open_flags(From from) {
  return O_RDONLY | O_CLOEXEC | (from == From::disk ? O_DIRECT : 0);
}
constexpr std::uint64_t reads_of(From from) {
  return from == From::disk ? sizes::disk_reads : sizes::cache_reads;
}

/// Offsets of blocks, one after the other.
class Offsets {
 public:
  explicit Offsets(From from)
      : blocks_((from == From::disk ? sizes::disk_file_bytes : sizes::cache_file_bytes) /
                sizes::block_bytes),
        left_(reads_of(from)) {}
  [[nodiscard]] bool any() const { return left_ != 0; }
  std::uint64_t next() {
    --left_;
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ % blocks_ * sizes::block_bytes;
  }

 private:
  std::uint64_t blocks_;
  std::uint64_t left_;
  std::uint64_t state_ = 88172645463325252;
};

/// Memory for one block of each read in flight.
class Buffers {
 public:
  explicit Buffers(unsigned count)
      : memory_(new (std::align_val_t{sizes::block_bytes})
                    std::byte[count * sizes::block_bytes]{}) {}
  [[nodiscard]] std::byte* at(unsigned index) const {
    return memory_.get() + index * sizes::block_bytes;
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const {
      operator delete[](memory, std::align_val_t{sizes::block_bytes});
    }
  };
  std::unique_ptr<std::byte[], Free> memory_;
};

struct OpenFile {
  explicit OpenFile(From from) : fd(::open(file_of(from).c_str(), open_flags(from))) {}
  ~OpenFile() { ::close(fd); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd;
};

}  // namespace pinion::perf
