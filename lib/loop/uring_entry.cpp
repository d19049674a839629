#include "lib/loop/uring_entry.hpp"

#include <sys/socket.h>

namespace pinion::loop {

using detail::Operation;
using detail::OperationKind;

namespace {

unsigned bytes(const Operation& op) noexcept {
  return static_cast<unsigned>(std::min(op.length, transfer_bytes_max));
}

}  // namespace

void prepare_other_entry(io_uring_sqe* entry, const Operation& op) noexcept {
  void* const buffer = const_cast<void*>(op.buffer);
  const auto* const path = static_cast<const char*>(op.buffer);
  switch (op.kind) {
    case OperationKind::poll:
      return io_uring_prep_poll_add(entry, op.fd, static_cast<unsigned short>(op.events));
    case OperationKind::recv:
      return io_uring_prep_recv(entry, op.fd, buffer, bytes(op), op.flags);
    case OperationKind::send:
      return io_uring_prep_send(entry, op.fd, buffer, bytes(op), op.flags);
    case OperationKind::accept:
      return io_uring_prep_accept(entry, op.fd, static_cast<sockaddr*>(buffer),
                                  static_cast<socklen_t*>(op.second), op.flags);
    case OperationKind::connect:
      return io_uring_prep_connect(entry, op.fd, static_cast<const sockaddr*>(buffer),
                                   static_cast<socklen_t>(op.length));
    case OperationKind::openat:
      return io_uring_prep_openat(entry, op.fd, path, op.flags, static_cast<mode_t>(op.length));
    case OperationKind::fsync:
      return io_uring_prep_fsync(entry, op.fd, 0);
    case OperationKind::statx:
      return io_uring_prep_statx(entry, op.fd, path, op.flags, static_cast<unsigned>(op.length),
                                 static_cast<struct statx*>(op.second));
    case OperationKind::close:
      return io_uring_prep_close(entry, op.fd);
    case OperationKind::yield:
    case OperationKind::sleep:
    case OperationKind::deadline:
    case OperationKind::wait:
    case OperationKind::read:
    case OperationKind::write:
      return;  // these never come here
  }
}

}  // namespace pinion::loop
