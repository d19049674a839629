// Operations on files, done by the calling thread: the poll backend's helpers.
#pragma once

#include <pinion/detail/operation.hpp>

#include <cstdint>

namespace pinion::loop {

/// Blocks until the kernel has an answer: what the system call returns, or minus an errno. Kinds
/// read, write, openat, fsync, statx and close.
std::int64_t call_file(const detail::Operation& operation) noexcept;

}  // namespace pinion::loop
