#include "lib/loop/file_calls.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lib/loop/transfer.hpp"

namespace pinion::loop {

using detail::Operation;
using detail::OperationKind;

namespace {

int call(const Operation& op) noexcept {
  const auto* const path = static_cast<const char*>(op.buffer);
  switch (op.kind) {
    case OperationKind::openat:
      return ::openat(op.fd, path, op.flags, static_cast<mode_t>(op.length));
    case OperationKind::fsync:
      return ::fsync(op.fd);
    case OperationKind::statx:
      return ::statx(op.fd, path, op.flags, static_cast<unsigned>(op.length),
                     static_cast<struct statx*>(op.second));
    case OperationKind::close:
      // Interrupted, it has closed the descriptor all the same.
      return ::close(op.fd) != 0 && errno != EINTR ? -1 : 0;
    default:
      errno = EINVAL;
      return -1;
  }
}

}  // namespace

std::int64_t call_file(const Operation& op) noexcept {
  if (op.kind == OperationKind::read || op.kind == OperationKind::write) return transfer(op);
  for (;;) {
    const int rc = call(op);
    if (rc >= 0) return rc;
    if (errno != EINTR) return -errno;
  }
}

bool opens_fifo(const Operation& op) noexcept {
  if (op.kind != OperationKind::openat) return false;
  struct stat status {};
  const auto* const path = static_cast<const char*>(op.buffer);
  return ::fstatat(op.fd, path, &status, 0) == 0 && S_ISFIFO(status.st_mode);
}

void release_fifo(const Operation& op) noexcept {
  const auto* const path = static_cast<const char*>(op.buffer);
  const int fd = ::openat(op.fd, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0) (void)::close(fd);
}

}  // namespace pinion::loop
