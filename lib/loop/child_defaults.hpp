// What a worker has changed for itself and gives back to the programs that its tasks start.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <optional>

namespace pinion::loop {

struct ChildDefaults {
  std::optional<rlimit> nofile{};  ///< RLIMIT_NOFILE as the host program had it
  bool restore_sigint = false;     ///< this process ignores SIGINT, and the host did not
  bool restore_sigpipe = true;     ///< this process ignores SIGPIPE, and the host did not
};

/// Called by: the worker, once, before its first task. For all threads of the process.
void set_child_defaults(const ChildDefaults& defaults) noexcept;
[[nodiscard]] const ChildDefaults& child_defaults() noexcept;

}  // namespace pinion::loop
