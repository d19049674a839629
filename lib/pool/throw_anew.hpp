// Throws a copy of an error that was made here, so that no two waiters share an object; but what a
// task threw in a thread of this process is thrown as it is.
#pragma once

#include <exception>

namespace pinion::pool {

/// The object that a task threw. Stands for it among the errors that were made here.
struct OriginalError {
  std::exception_ptr error;
};

[[noreturn]] void throw_anew(const std::exception_ptr& error);

}  // namespace pinion::pool
