// What ends a run before or between jobs. Its text is the sentence that the user reads.
#pragma once

#include <stdexcept>
#include <string>

namespace pinion::command {

/// Bad usage: nothing was started.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The arguments cannot be read (further).
struct InputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A job log, standard output or standard error cannot be written.
struct WriteError : std::runtime_error {
  WriteError(const std::string& what, int code) : std::runtime_error(what), error_code(code) {}
  int error_code;  ///< errno
};

/// "Permission denied" and the like, for the end of a sentence.
std::string error_text(int error_code);

}  // namespace pinion::command
