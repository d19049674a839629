#include "lib/topology/text_cursor.hpp"

#include <stdexcept>

namespace pinion::topology {
namespace {

constexpr std::size_t shown_max = 200;  // characters of a text that an error repeats

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The text comes from environments and files: what does not print is escaped.
std::string quoted(std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text.substr(0, shown_max)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
    }
  }
  return out + (text.size() > shown_max ? "...\"" : "\"");
}

}  // namespace

char TextCursor::peek() {
  while (position_ < text_.size() && is_space(text_[position_])) ++position_;
  return position_ < text_.size() ? text_[position_] : '\0';
}

bool TextCursor::at_end() {
  (void)peek();
  return position_ >= text_.size();
}

bool TextCursor::accept(char c) {
  if (at_end() || peek() != c) return false;
  ++position_;
  return true;
}

void TextCursor::require(char c, std::string_view expected) {
  if (!accept(c)) fail(expected);
}

std::string TextCursor::word() {
  (void)peek();
  std::string out;
  for (; position_ < text_.size(); ++position_) {
    const char c = text_[position_];
    if (c >= 'A' && c <= 'Z') {
      out += static_cast<char>(c - 'A' + 'a');
    } else if ((c >= 'a' && c <= 'z') || c == '_') {
      out += c;
    } else {
      break;
    }
  }
  return out;
}

unsigned TextCursor::number(unsigned max, std::string_view expected) {
  if (!is_digit(peek())) fail(expected);
  const std::size_t start = position_;
  unsigned long long value = 0;
  for (; position_ < text_.size() && is_digit(text_[position_]); ++position_) {
    value = value * 10 + static_cast<unsigned long long>(text_[position_] - '0');
    if (value > max) {
      position_ = start;
      fail(std::string(expected) + " of at most " + std::to_string(max));
    }
  }
  return static_cast<unsigned>(value);
}

void TextCursor::fail(std::string_view expected) {
  std::string text = std::string(what_) + " " + quoted(text_);
  text += ", position " + std::to_string(position_ + 1) + ": expected " + std::string(expected);
  text += position_ < text_.size() ? ", found " + quoted(text_.substr(position_, 1))
                                   : ", found the end of the text";
  throw std::invalid_argument(text);
}

}  // namespace pinion::topology
