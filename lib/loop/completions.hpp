// Where operations go when they end. Backends and timers finish operations; only the loop resumes.
#pragma once

#include <pinion/detail/operation.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace pinion::loop {

struct Completions {
  /// Ends a pending operation. Its coroutine is resumed at a later turn, never from here.
  void finish(detail::Operation& operation, std::int64_t result) noexcept {
    operation.result = result;
    if (operation.is_io()) --pending;
    queue(operation);
  }
  void queue(detail::Resumable& resumable) noexcept {
    resumable.unlink();
    resumable.state = detail::Resumable::State::ready;
    ready.push_back(resumable);
  }

  detail::LinkList ready;   // of Resumable
  std::size_t pending = 0;  // operations that the backend has; timers are not among them
};

}  // namespace pinion::loop
