#include <pinion/files.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <pinion/io.hpp>
#include <pinion/sleep.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <stdexcept>

#include "lib/os/fd.hpp"

namespace pinion::detail {

static_assert(current_directory == AT_FDCWD);

namespace {

class OpenAwaiter final : public IoAwaiter {
 public:
  OpenAwaiter(int directory, const std::string& path, int flags, unsigned mode) noexcept
      : IoAwaiter(OperationKind::openat, directory), path_(path) {
    operation_.buffer = path.c_str();
    operation_.flags = flags;
    operation_.length = mode;
  }
  /// -1 for ENXIO.
  int await_resume() {
    if (operation_.result == -ENXIO) return -1;
    if (operation_.result < 0) operation_.finish("opening " + path_ + " under");
    return static_cast<int>(operation_.result);
  }

 private:
  const std::string& path_;
};

bool is_fifo(int directory, const char* path, int flags) noexcept {
  struct stat status {};
  return ::fstatat(directory, path, &status, flags) == 0 && S_ISFIFO(status.st_mode);
}

}  // namespace

void require_path(const std::string& path) {
  if (path.find('\0') != std::string::npos)
    throw std::invalid_argument("pinion::io: a path with a NUL in it: " + path);
}

/// io_uring opens what it finds in its caches as if with O_NONBLOCK, so that an open of a FIFO does
/// not wait: a reader would find the end of the file before any writer has come, and a writer gets
/// ENXIO. So wait here.
Task<int> open_file(int directory, std::string path, int flags, unsigned mode) {
  using std::chrono::milliseconds;
  require_path(path);
  os::Fd fd;
  for (milliseconds pause(1);; pause = std::min(2 * pause, milliseconds(16))) {
    fd = os::Fd(co_await OpenAwaiter(directory, path, flags, mode));
    if (fd) break;
    if ((flags & O_NONBLOCK) != 0 || !is_fifo(directory, path.c_str(), 0))
      os::throw_errno(ENXIO, "opening " + path);
    co_await sleep_for(pause);
  }
  const bool reads = (flags & (O_ACCMODE | O_NONBLOCK | O_PATH)) == O_RDONLY;
  if (reads && is_fifo(fd.get(), "", AT_EMPTY_PATH)) co_await io::poll(fd.get(), POLLIN);
  co_return fd.release();
}

}  // namespace pinion::detail
