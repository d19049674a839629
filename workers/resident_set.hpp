// How much memory this process holds, looked at now and then.
#pragma once

#include <cstdint>

#include "lib/os/fd.hpp"

namespace pinion::workers {

class ResidentSet {
 public:
  /// `limit`: bytes; 0: none, and nothing is looked at.
  explicit ResidentSet(std::uint64_t limit);

  [[nodiscard]] bool is_limited() const noexcept { return limit_ != 0; }
  /// True once: when a look has found more than the limit. There is one every millisecond at most.
  [[nodiscard]] bool has_outgrown() noexcept;

 private:
  [[nodiscard]] std::uint64_t bytes() const noexcept;

  std::uint64_t limit_;
  os::Fd statm_;
  std::int64_t next_look_ns_ = 0;
};

}  // namespace pinion::workers
