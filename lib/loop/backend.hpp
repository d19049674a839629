// What carries the loop's waits for descriptors: io_uring, or epoll with helper threads.
#pragma once

#include <pinion/detail/operation.hpp>
#include <pinion/kinds.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace pinion::loop {

struct Completions;

/// Each operation that was armed is finished exactly once (Completions::finish), or abandoned.
/// For operations with `is_io()` only.
class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  /// Begins an operation; may finish it at once.
  virtual void arm(detail::Operation& operation) noexcept = 0;
  /// Asks for an early end with -ECANCELED; the operation ends in any case. Never for a close.
  virtual void cancel(detail::Operation& operation) noexcept = 0;
  /// Returns when nothing refers to the operation and its buffer any more: its result, or
  /// -ECANCELED. It is not finished.
  virtual std::int64_t abandon(detail::Operation& operation) noexcept = 0;
  /// Finishes what has ended. At most one system call besides the operations' own.
  virtual void gather() = 0;
  /// As gather(), but first sleeps for a completion, the deadline or the wake descriptor.
  virtual void wait(std::int64_t deadline_ns) = 0;
  virtual void set_wake_fd(int eventfd) noexcept = 0;
};

struct ChosenBackend {
  std::unique_ptr<Backend> backend;
  IoBackend kind;
  std::string reason;
};

/// `automatic` tries io_uring and falls back, with the reason; `uring` throws `std::system_error`.
ChosenBackend make_backend(IoBackend wanted, Completions& completions);

}  // namespace pinion::loop
