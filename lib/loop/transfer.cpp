#include "lib/loop/transfer.hpp"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace pinion::loop {

using detail::Operation;
using detail::OperationKind;

namespace {

constexpr off_t at_position = -1;  // as preadv2 has it

ssize_t call(const Operation& op, std::size_t length, off_t offset, int flags) noexcept {
  const bool reads = op.kind == OperationKind::read;
  void* const buffer = const_cast<void*>(op.buffer);
  if (flags != 0) {
    const iovec piece{buffer, length};
    return reads ? ::preadv2(op.fd, &piece, 1, offset, flags)
                 : ::pwritev2(op.fd, &piece, 1, offset, flags);
  }
  if (offset == at_position)
    return reads ? ::read(op.fd, buffer, length) : ::write(op.fd, buffer, length);
  return reads ? ::pread(op.fd, buffer, length, offset) : ::pwrite(op.fd, buffer, length, offset);
}

std::int64_t call_at(const Operation& op, std::size_t length, int flags) noexcept {
  off_t offset = op.offset == Operation::no_offset ? at_position : static_cast<off_t>(op.offset);
  for (;;) {
    const ssize_t rc = call(op, length, offset, flags);
    if (rc >= 0) return rc;
    if (errno == ESPIPE && offset != at_position)
      offset = at_position;
    else if (errno != EINTR)
      return -errno;
  }
}

bool is_ready(const Operation& op) noexcept {
  pollfd p{op.fd, static_cast<short>(op.kind == OperationKind::read ? POLLIN : POLLOUT), 0};
  return ::poll(&p, 1, 0) > 0;
}

}  // namespace

std::int64_t transfer(const Operation& operation) noexcept {
  return call_at(operation, operation.length, 0);
}

std::int64_t transfer_if_ready(const Operation& op) noexcept {
  const std::int64_t rc = call_at(op, op.length, RWF_NOWAIT);
  if (rc != -EOPNOTSUPP && rc != -ENOSYS) return rc;
  // Terminals, and pipes before Linux 6.5: look again, and do no more than poll(2) promises.
  if (!is_ready(op)) return -EAGAIN;
  std::size_t length = op.length;
  const bool blocks = (::fcntl(op.fd, F_GETFL) & O_NONBLOCK) == 0;
  if (op.kind == OperationKind::write && blocks) length = std::min<std::size_t>(length, PIPE_BUF);
  return call_at(op, length, 0);
}

bool read_from_cache(const Operation& op, std::int64_t& result) noexcept {
  if (op.kind != OperationKind::read || op.offset == Operation::no_offset) return false;
  const iovec piece{const_cast<void*>(op.buffer), op.length};
  result = ::preadv2(op.fd, &piece, 1, static_cast<off_t>(op.offset), RWF_NOWAIT);
  // Fewer bytes are the end of the file, or the end of what is cached.
  return result >= 0 && static_cast<std::size_t>(result) == op.length;
}

}  // namespace pinion::loop
