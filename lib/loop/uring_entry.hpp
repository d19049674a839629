// An operation as an entry of the submission queue.
#pragma once

#include <liburing.h>
#include <pinion/detail/operation.hpp>

#include <algorithm>

namespace pinion::loop {

// MAX_RW_COUNT of the kernel: no single call moves more.
inline constexpr std::size_t transfer_bytes_max = 0x7ffff000;

/// Kinds other than read and write.
void prepare_other_entry(io_uring_sqe* entry, const detail::Operation& operation) noexcept;

/// Writes everything but the entry's tag.
inline void prepare_entry(io_uring_sqe* entry, const detail::Operation& op) noexcept {
  const auto bytes = static_cast<unsigned>(std::min(op.length, transfer_bytes_max));
  if (op.kind == detail::OperationKind::read) [[likely]]
    io_uring_prep_read(entry, op.fd, const_cast<void*>(op.buffer), bytes, op.offset);
  else if (op.kind == detail::OperationKind::write)
    io_uring_prep_write(entry, op.fd, op.buffer, bytes, op.offset);
  else
    prepare_other_entry(entry, op);
}

}  // namespace pinion::loop
