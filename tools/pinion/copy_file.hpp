// Copies a file to a descriptor without bringing it into this process where the kernel can.
#pragma once

#include <cstdint>

namespace pinion::command {

/// Copies the first `bytes` of `file` to `to`; returns 0 or the errno that stopped it (EIO where
/// the file is shorter). Waits and is interrupted as `write_all`.
[[nodiscard]] int copy_file(int file, std::uint64_t bytes, int to) noexcept;

}  // namespace pinion::command
