// What ends a run before or between jobs, and how texts appear in the sentences that the user
// reads.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

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

/// The bytes of the UTF-8 character that `text`, which is not empty, begins with; 0 where it begins
/// with none, or with a control character.
std::size_t character_length(std::string_view text) noexcept;

/// `text` in one line that does nothing to a terminal: control characters, and bytes that are no
/// UTF-8, are spelled as in `\n`, `\0` and `\x1b`. What would be longer than `bytes_max` is cut and
/// ends with "...".
std::string printable(std::string_view text, std::size_t bytes_max = std::string::npos);

}  // namespace pinion::command
