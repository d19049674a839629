#include <pinion/detail/operation.hpp>
#include <pinion/errors.hpp>

#include <cerrno>
#include <stdexcept>
#include <string>

#include "lib/loop/loop.hpp"
#include "lib/os/error.hpp"

namespace pinion::detail {

namespace {

loop::Loop& running_loop() {
  loop::Loop* const running = loop::Loop::current();
  if (running == nullptr)
    throw std::logic_error(
        "pinion: this can be awaited only inside an event loop: in a task that returns "
        "pinion::Task, or under pinion::run");
  return *running;
}

}  // namespace

void require_running_loop() {
  const loop::Root* const root = running_loop().current_root();
  if (root->stop) throw Cancelled();
}

void Operation::prepare() { running_loop().prepare(*this); }

void Operation::begin(std::coroutine_handle<> waiter) noexcept {
  coroutine = waiter;
  loop->begin(*this);
}

void Operation::abandon() noexcept { loop->abandon(*this); }

void Operation::fail(std::string_view what) const {
  if (result == -ECANCELED && root->stop) throw Cancelled();
  std::string text(what);
  if (fd >= 0) text += " descriptor " + std::to_string(fd);
  os::throw_errno(static_cast<int>(-result), text);
}

}  // namespace pinion::detail
