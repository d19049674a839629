// Reads and writes of the poll backend: one system call for one operation.
#pragma once

#include <pinion/detail/operation.hpp>

#include <cstdint>

namespace pinion::loop {

// All give the number of bytes, or minus an errno. An offset is ignored where the file has no
// position, as io_uring has it.

/// Blocks until the kernel has an answer.
std::int64_t transfer(const detail::Operation& operation) noexcept;

/// Does not block on a descriptor that poll(2) says is ready, also where others use it meanwhile
/// and it is in blocking mode: then -EAGAIN.
std::int64_t transfer_if_ready(const detail::Operation& operation) noexcept;

/// Whether a read at an offset could be done from the page cache, in full; `result` is set then.
/// Takes nothing from what has no position, such as pipes.
bool read_from_cache(const detail::Operation& operation, std::int64_t& result) noexcept;

}  // namespace pinion::loop
