// The kernel's errors as exceptions, with what was being done.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace pinion::os {

[[noreturn]] inline void throw_errno(int error, const std::string& what) {
  throw std::system_error(error, std::system_category(), what);
}

[[noreturn]] inline void throw_errno(const std::string& what) { throw_errno(errno, what); }

/// Passes a system call's result on, or throws `std::system_error` where it is negative.
template <class Int>
Int check(Int result, const char* what) {
  if (result < 0) throw_errno(what);
  return result;
}

}  // namespace pinion::os
