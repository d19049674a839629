// Operations on files, done by the calling thread: the poll backend's helpers.
#pragma once

#include <pinion/detail/operation.hpp>

#include <cstdint>

namespace pinion::loop {

/// Blocks until the kernel has an answer: what the system call returns, or minus an errno. Kinds
/// read, write, openat, fsync, statx and close.
std::int64_t call_file(const detail::Operation& operation) noexcept;

/// Whether it opens a FIFO, which waits until somebody opens the other end.
bool opens_fifo(const detail::Operation& operation) noexcept;
/// Lets another thread that waits in such an open go on, by opening both ends for a moment. To be
/// called again while it has not ended: it may only be about to wait.
void release_fifo(const detail::Operation& operation) noexcept;

}  // namespace pinion::loop
