// Want of something that others may give back: a job that meets it can be started later.
#pragma once

#include <cerrno>

namespace pinion::command {

[[nodiscard]] constexpr bool is_shortage(int error_code) noexcept {
  return error_code == EAGAIN || error_code == ENOMEM || error_code == EMFILE ||
         error_code == ENFILE;
}

/// For the end of a sentence.
[[nodiscard]] constexpr const char* remedy(int shortage) noexcept {
  switch (shortage) {
    case EMFILE:
      return "raise the limit of open files (ulimit -n)";
    case ENFILE:
      return "the whole system has too many files open";
    case EAGAIN:
      return "raise the limit of processes (ulimit -u)";
    default:
      return "memory is short";
  }
}

}  // namespace pinion::command
