#include <fcntl.h>
#include <unistd.h>
#include <pinion/detail/operation.hpp>
#include <pinion/errors.hpp>

#include <cerrno>
#include <string>

#include "lib/loop/loop.hpp"
#include "lib/os/error.hpp"

namespace pinion::detail {

void require_running_loop() {
  if (loop::Loop::require_current().current_scope()->stop) throw Cancelled();
}

void Operation::prepare() { loop::Loop::require_current().prepare(*this); }

void Operation::begin(std::coroutine_handle<> waiter) noexcept {
  coroutine = waiter;
  loop->begin(*this);
}

void Operation::abandon() noexcept {
  if (state == State::dropped || kind == OperationKind::wait) {  // the loop may be gone
    unlink();
    state = State::idle;
    return discard();
  }
  loop->abandon(*this);
}

void Operation::complete(std::int64_t value) noexcept { loop->complete(*this, value); }

void Operation::discard() noexcept {
  const bool made = kind == OperationKind::openat || kind == OperationKind::accept;
  if (made && result >= 0)
    (void)::close(static_cast<int>(result));
  else if (kind == OperationKind::close && result == -ECANCELED)
    (void)::close(fd);
}

void Operation::fail(std::string_view what) const {
  if (result == -ECANCELED && scope->stop) throw Cancelled();
  std::string text(what);
  if (fd >= 0) text += " descriptor " + std::to_string(fd);
  os::throw_errno(static_cast<int>(-result), text);
}

void fail_early_end(int fd, std::size_t done, std::size_t wanted) {
  os::throw_errno(ENODATA, "reading descriptor " + std::to_string(fd) + ": the input ended after " +
                               std::to_string(done) + " of " + std::to_string(wanted) + " bytes");
}

void fail_refused_bytes(int fd, std::size_t left) {
  os::throw_errno(EIO, "writing descriptor " + std::to_string(fd) + ": none of the last " +
                           std::to_string(left) + " bytes were taken");
}

}  // namespace pinion::detail
