#include "lib/loop/readiness.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace pinion::loop {

using detail::Operation;
using detail::OperationKind;

namespace {

bool is_unix(const Operation& connect) noexcept {
  return static_cast<const sockaddr*>(connect.buffer)->sa_family == AF_UNIX;
}

}  // namespace

short awaited_events(const Operation& operation) noexcept {
  switch (operation.kind) {
    case OperationKind::poll:
      return operation.events;
    case OperationKind::write:
    case OperationKind::send:
    case OperationKind::connect:
      return POLLOUT;
    default:
      return POLLIN;
  }
}

bool must_wait(const Operation& operation, std::int64_t result) noexcept {
  switch (operation.kind) {
    case OperationKind::read:
    case OperationKind::write:
    case OperationKind::accept:
      return result == -EAGAIN;
    case OperationKind::recv:
    case OperationKind::send:
      return result == -EAGAIN && (operation.flags & MSG_DONTWAIT) == 0;
    case OperationKind::connect:
      if (result == -EAGAIN) return !is_unix(operation);
      return result == -EINPROGRESS || result == -EALREADY;
    default:
      return false;
  }
}

}  // namespace pinion::loop
