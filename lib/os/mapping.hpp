// One owner of a mapping.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <utility>

#include "lib/os/error.hpp"

namespace pinion::os {

class Mapping {
 public:
  Mapping() noexcept = default;
  /// Maps `bytes` of `fd` shared, from its start. Throws `std::system_error`.
  Mapping(int fd, std::size_t bytes, int protection) : bytes_(bytes) {
    void* p = ::mmap(nullptr, bytes, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (p == MAP_FAILED) throw_errno("mapping shared memory");
    begin_ = static_cast<std::byte*>(p);
  }
  /// As above at this very address; empty where that cannot be.
  static Mapping at(std::byte* address, int fd, std::size_t bytes, int protection) {
    constexpr int fixed_noreplace = 0x100000;  // of Linux 4.17; before, it was only a wish
    void* p =
        ::mmap(address, bytes, protection, MAP_SHARED | MAP_NORESERVE | fixed_noreplace, fd, 0);
    Mapping mapping;
    if (p == MAP_FAILED) return mapping;
    mapping.begin_ = static_cast<std::byte*>(p);
    mapping.bytes_ = bytes;
    return p == address ? std::move(mapping) : Mapping();
  }
  Mapping(Mapping&& other) noexcept
      : begin_(std::exchange(other.begin_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(begin_, other.begin_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (begin_ != nullptr) ::munmap(begin_, bytes_);
  }

  [[nodiscard]] std::byte* begin() const noexcept { return begin_; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
  explicit operator bool() const noexcept { return begin_ != nullptr; }

  /// A child made by fork does not get it, and a core dump does not hold it.
  void keep_private() const noexcept {
    (void)::madvise(begin_, bytes_, MADV_DONTFORK);
    (void)::madvise(begin_, bytes_, MADV_DONTDUMP);
  }

 private:
  std::byte* begin_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace pinion::os
