#include "errors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace pinion::command {
namespace {

std::string spelled(char c) {
  switch (c) {
    case '\0':
      return "\\0";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
}

}  // namespace

std::size_t character_length(std::string_view text) noexcept {
  const auto byte = [text](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t at = 1; at < length; ++at) {
    if ((byte(at) & 0xc0) != 0x80) return 0;
  }
  // Spelled longer than need be, half of a pair, beyond the last one; and U+0080 to U+009F.
  const unsigned second = byte(1);
  const bool wrong = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
                     (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f) ||
                     (first == 0xc2 && second < 0xa0);
  return wrong ? 0 : length;
}

std::string error_text(int error_code) { return std::generic_category().message(error_code); }

std::string printable(std::string_view text, std::size_t bytes_max) {
  constexpr std::string_view more = "...";
  std::string result;
  std::size_t whole = 0;  // of result: what may stay where "..." follows
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    if (length == 0) {
      result += spelled(text.front());
    } else {
      result += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
    if (result.size() > bytes_max) return result.substr(0, whole).append(more);
    if (bytes_max - result.size() >= more.size()) whole = result.size();
  }
  return result;
}

}  // namespace pinion::command
