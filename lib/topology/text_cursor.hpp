// Reads a short text from left to right; its errors show the text, the position and what was due.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pinion::topology {

class TextCursor {
 public:
  /// `what` names the text in errors ("CPU list"). Both views must outlive the cursor.
  TextCursor(std::string_view what, std::string_view text) : what_(what), text_(text) {}

  /// The next character that is not white space; '\0' at the end. Skips the white space.
  [[nodiscard]] char peek();
  [[nodiscard]] bool at_end();
  [[nodiscard]] std::size_t position() const noexcept { return position_; }
  void go_to(std::size_t position) noexcept { position_ = position; }
  /// Takes `c` if it comes next.
  bool accept(char c);
  /// Takes `c` or fails with `expected`.
  void require(char c, std::string_view expected);
  /// Takes letters and underscores, in lower case; empty if none come next.
  [[nodiscard]] std::string word();
  /// Takes a decimal number from 0 to `max`, or fails with `expected`.
  [[nodiscard]] unsigned number(unsigned max, std::string_view expected);

  /// Throws std::invalid_argument about the current position.
  [[noreturn]] void fail(std::string_view expected);

 private:
  std::string_view what_;
  std::string_view text_;
  std::size_t position_ = 0;
};

}  // namespace pinion::topology
