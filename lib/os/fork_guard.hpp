// Notices that this process is a forked child of the one that made the guard.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "lib/os/error.hpp"

namespace pinion::os {

/// A page that the kernel wipes in every forked child (MADV_WIPEONFORK): one load tells whether
/// this is still the process that made it, where getpid() would be a system call.
class ForkGuard {
 public:
  ForkGuard() {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* p = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw_errno("mapping the fork guard");
    if (::madvise(p, page, MADV_WIPEONFORK) != 0) {
      ::munmap(p, page);
      throw_errno("MADV_WIPEONFORK");
    }
    word_ = new (p) std::atomic<std::uint32_t>(here);
    bytes_ = page;
  }
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;
  ~ForkGuard() { ::munmap(static_cast<void*>(word_), bytes_); }

  [[nodiscard]] bool same_process() const noexcept {
    return word_->load(std::memory_order_relaxed) == here;
  }

 private:
  static constexpr std::uint32_t here = 0x9149104e;
  std::atomic<std::uint32_t>* word_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace pinion::os
