#include "write_all.hpp"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace pinion::command {
namespace {

std::atomic<bool> given_up{false};
static_assert(std::atomic<bool>::is_always_lock_free, "it is stored in a signal handler");

}  // namespace

int write_all(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
      continue;
    }
    if (errno == EINTR) {
      if (gave_up_writing()) return EINTR;
      continue;
    }
    if (errno != EAGAIN) return errno;
    pollfd writable{fd, POLLOUT, 0};
    if (::poll(&writable, 1, -1) < 0 && gave_up_writing()) return EINTR;
  }
  return 0;
}

void give_up_writing() noexcept { given_up.store(true, std::memory_order_relaxed); }

bool gave_up_writing() noexcept { return given_up.load(std::memory_order_relaxed); }

}  // namespace pinion::command
