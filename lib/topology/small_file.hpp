// Reads the kernel's small text files.
#pragma once

#include <optional>
#include <string>

namespace pinion::topology {

/// The whole of a file under /proc or /sys; nothing if it cannot be read or is larger than 1 MiB.
[[nodiscard]] std::optional<std::string> read_small_file(const std::string& path);

}  // namespace pinion::topology
