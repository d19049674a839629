// What a worker can tell of an exception that it caught.
#pragma once

#include <exception>
#include <string>

#include "lib/pool/remote_record.hpp"

namespace pinion::pool {

struct ExceptionLook {
  RemoteLevel level;
  std::string backtrace;     // of an exception that came from another pool's worker
  std::exception_ptr inner;  // what it is nested around; null if nothing
};

/// `error` may be null: an exception of another language. Throws `std::bad_alloc`.
[[nodiscard]] ExceptionLook look_at(const std::exception_ptr& error, LevelLimits limits);

}  // namespace pinion::pool
