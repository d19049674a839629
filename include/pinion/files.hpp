// Opening, syncing, asking about and closing files from a coroutine.
#pragma once

#include <sys/stat.h>
#include <pinion/detail/io_awaiter.hpp>
#include <pinion/task.hpp>

#include <cstddef>
#include <string>
#include <utility>

namespace pinion {

namespace detail {

inline constexpr int current_directory = -100;  // AT_FDCWD, without what <fcntl.h> brings along

PINION_API Task<int> open_file(int directory, std::string path, int flags, unsigned mode);

class StatxAwaiter final : PathHolder, public IoAwaiter {
 public:
  StatxAwaiter(int directory, std::string path, int flags, unsigned mask) noexcept
      : PathHolder(std::move(path)), IoAwaiter(OperationKind::statx, directory) {
    operation_.flags = flags;
    operation_.length = mask;
  }
  bool await_ready() {
    require_path(path_);
    operation_.buffer = path_.c_str();
    operation_.second = &status_;
    return IoAwaiter::await_ready();
  }
  struct ::statx await_resume() {
    if (operation_.result < 0) operation_.finish("looking up " + path_ + " under");
    return status_;
  }

 private:
  struct ::statx status_;  // trivial: its bytes are there until the operation is gone
};

class FileAwaiter final : public IoAwaiter {
 public:
  FileAwaiter(OperationKind kind, int fd) noexcept : IoAwaiter(kind, fd) {}
  void await_resume() {
    operation_.finish(operation_.kind == OperationKind::fsync ? "syncing" : "closing");
  }
};

}  // namespace detail

namespace io {

// Each throws as said above `read` in io.hpp. On the poll backend helper threads do them, at most
// four at once; there a cancellation waits for what has begun. An open of a FIFO that waits for its
// other end takes one of these four meanwhile; cancelling it opens both ends for a moment.

/// Opens a file: `path` under the descriptor of a directory, with flags and mode of open(2).
/// @returns the descriptor. It is closed when the coroutine is destroyed before it could take it.
/// Without O_NONBLOCK an open of a FIFO waits for its other end, and one for reading may wait until
/// the writer has written or gone. Throws `std::invalid_argument` for a path with a NUL in it.
inline Task<int> openat(int directory, std::string path, int flags, unsigned mode = 0644) {
  return detail::open_file(directory, std::move(path), flags, mode);
}

/// `openat` under the working directory.
inline Task<int> open(std::string path, int flags, unsigned mode = 0644) {
  return detail::open_file(detail::current_directory, std::move(path), flags, mode);
}

/// Asks about a file, as statx(2) does: AT_ flags, and the mask of what is wanted
/// (STATX_BASIC_STATS,
/// ...). An empty path with AT_EMPTY_PATH asks about `directory` itself.
/// @returns what is known; its `stx_mask` says what that is.
[[nodiscard]] inline detail::StatxAwaiter statx(int directory, std::string path, int flags,
                                                unsigned mask) noexcept {
  return {directory, std::move(path), flags, mask};
}

/// Returns when the file's bytes and size are on the disk.
[[nodiscard]] inline detail::FileAwaiter fsync(int fd) noexcept {
  return {detail::OperationKind::fsync, fd};
}

/// Closes a descriptor; afterwards it is closed, whatever is thrown (but EBADF). Not cancelled:
/// in a cancelled task, too, it closes, and throws no `Cancelled`.
[[nodiscard]] inline detail::FileAwaiter close(int fd) noexcept {
  return {detail::OperationKind::close, fd};
}

}  // namespace io
}  // namespace pinion
