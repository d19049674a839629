#include "copy_file.hpp"

#include <poll.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "write_all.hpp"

namespace pinion::command {
namespace {

int copy_by_hand(int file, off_t at, off_t end, int to) noexcept {
  std::array<char, 65536> block;
  while (at < end) {
    const auto wanted = std::min<std::size_t>(block.size(), static_cast<std::size_t>(end - at));
    const ssize_t count = ::pread(file, block.data(), wanted, at);
    if (count < 0) return errno;
    if (count == 0) return EIO;
    const int code = write_all(to, std::string_view(block.data(), static_cast<std::size_t>(count)));
    if (code != 0) return code;
    at += count;
  }
  return 0;
}

}  // namespace

int copy_file(int file, std::uint64_t bytes, int to) noexcept {
  const auto end = static_cast<off_t>(bytes);
  off_t at = 0;
  while (at < end) {
    constexpr off_t step_max = 1 << 30;
    const ssize_t count =
        ::sendfile(to, file, &at, static_cast<std::size_t>(std::min(end - at, step_max)));
    if (count > 0) continue;
    if (count == 0) return EIO;
    if (errno == EINTR) {
      if (gave_up_writing()) return EINTR;
    } else if (errno == EAGAIN) {
      pollfd writable{to, POLLOUT, 0};
      if (::poll(&writable, 1, -1) < 0 && gave_up_writing()) return EINTR;
    } else if (errno == EINVAL || errno == ENOSYS) {
      return copy_by_hand(file, at, end, to);  // a file opened for appending, or an odd device
    } else {
      return errno;
    }
  }
  return 0;
}

}  // namespace pinion::command
