#include "wakeup.hpp"

#include <sys/eventfd.h>

#include <cerrno>
#include <system_error>

namespace pinion::command {

Wakeup::Wakeup() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_) throw std::system_error(errno, std::generic_category(), "making an eventfd");
}

void Wakeup::wake() const noexcept {
  const int saved = errno;
  const std::uint64_t one = 1;
  // A full counter wakes as well, so a failure is none.
  [[maybe_unused]] const ssize_t count = ::write(event_.get(), &one, sizeof one);
  errno = saved;
}

void Wakeup::clear() const noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t size = ::read(event_.get(), &count, sizeof count);
}

}  // namespace pinion::command
