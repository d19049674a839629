// The calls of a pool's options that its workers make: initializer, finalizer, exception handler.

#include <cxxabi.h>

#include <exception>

#include "lib/os/eventfd.hpp"
#include "workers/worker.hpp"

namespace pinion::workers {

/// A call of an option.
void Worker::make(const start::KeptCall& call) {
  ring::TaskMessage message{};
  message.count = 1;
  message.payload.block = {call.offset, call.bytes};
  PlainFrame frame(*this, message, 0);
  const auto bytes = arguments_of(message);
  frame.arguments = bytes.data();
  frame.argument_bytes = bytes.size();
  frame.code = &code_;
  reinterpret_cast<detail::Thunk>(code_.from_token(call.code))(frame);
}

void Worker::initialize() {
  if (!initializer_.present) return;
  channel_.note->initializing.store(1, std::memory_order_release);
  make(initializer_);
  channel_.note->initializing.store(0, std::memory_order_release);
}

void Worker::finalize() {
  if (!finalizer_.present) return;
  ring::ResultMessage message{};
  message.flight = ring::no_flight;
  message.kind = ring::ResultKind::left;
  try {
    make(finalizer_);
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    message.payload.words[0] = 1;
  }
  channel_.results.push(message);
}

/// Between tasks: the manager replaces it where it has grown too large.
void Worker::look_at_size() noexcept {
  if (!resident_set_.has_outgrown()) return;
  ring::ResultMessage message{};
  message.flight = ring::no_flight;
  message.kind = ring::ResultKind::too_large;
  channel_.results.push(message);
  channel_.manager_bell.ring();
  os::ring_eventfd(channel_.manager_eventfd);  // nobody may be collecting
}

void Worker::show_to_handler(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (...) {
    try {
      make(exception_handler_);  // it finds the current exception
    } catch (...) {
      channel_.note->handler_errors.fetch_add(1, std::memory_order_release);
    }
  }
}

}  // namespace pinion::workers
