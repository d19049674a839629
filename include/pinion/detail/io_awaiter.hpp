// What awaitables of the backends share.
#pragma once

#include <pinion/detail/operation.hpp>

#include <coroutine>
#include <string>
#include <utility>

namespace pinion::detail {

class IoAwaiter {
 public:
  bool await_ready() {
    operation_.prepare();
    return false;
  }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { operation_.begin(waiter); }

 protected:
  IoAwaiter(OperationKind kind, int fd) noexcept : operation_(kind) { operation_.fd = fd; }

  Operation operation_;
};

/// A path that outlives the operation: as the first base it is destroyed last.
class PathHolder {
 protected:
  explicit PathHolder(std::string path) noexcept : path_(std::move(path)) {}

  std::string path_;
};

/// Throws `std::invalid_argument`: a path with a NUL in it would be cut off there.
PINION_API void require_path(const std::string& path);

}  // namespace pinion::detail
