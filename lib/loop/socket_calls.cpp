#include "lib/loop/socket_calls.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

namespace pinion::loop {

using detail::Operation;
using detail::OperationKind;

namespace {

/// The status flags as they were, or -1; the descriptor is in non-blocking mode now.
int unblock(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) == 0) (void)::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  return flags;
}

long connect_now(const Operation& op) noexcept {
  const int before = unblock(op.fd);
  if (before < 0) return -1;
  const int rc =
      ::connect(op.fd, static_cast<const sockaddr*>(op.buffer), static_cast<socklen_t>(op.length));
  const int error = errno;
  if ((before & O_NONBLOCK) == 0) (void)::fcntl(op.fd, F_SETFL, before);
  errno = error;
  return rc;
}

long call(const Operation& op) noexcept {
  void* const buffer = const_cast<void*>(op.buffer);
  switch (op.kind) {
    case OperationKind::recv:
      return ::recv(op.fd, buffer, op.length, op.flags | MSG_DONTWAIT);
    case OperationKind::send:
      return ::send(op.fd, buffer, op.length, op.flags | MSG_DONTWAIT);
    case OperationKind::accept:
      if (unblock(op.fd) < 0) return -1;
      return ::accept4(op.fd, static_cast<sockaddr*>(buffer), static_cast<socklen_t*>(op.second),
                       op.flags);
    case OperationKind::connect:
      return connect_now(op);
    default:
      errno = EINVAL;
      return -1;
  }
}

}  // namespace

std::int64_t call_socket(const Operation& op) noexcept {
  for (;;) {
    const long rc = call(op);
    if (rc >= 0) return rc;
    if (errno != EINTR) return -errno;
  }
}

}  // namespace pinion::loop
