#include "shell_words.hpp"

#include <algorithm>
#include <array>

namespace pinion::command {
namespace {

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

using Table = std::array<bool, 256>;

constexpr Table table_of(std::string_view others, bool high_bytes) {
  Table table{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    table[c] = letter || (c >= '0' && c <= '9') || (high_bytes && c >= 128);
  }
  for (const char c : others) table[static_cast<unsigned char>(c)] = true;
  return table;
}

constexpr Table bare = table_of("-_.+/", false);
// '=' is harmless only after the first word, '{' and '~' and '!' nowhere.
constexpr Table harmless = table_of("-_.+/:,@%^ \t=", true);

bool in(const Table& table, char c) noexcept { return table[static_cast<unsigned char>(c)]; }

}  // namespace

void append_quoted(std::string& line, std::string_view word) {
  if (word.empty()) {
    line += "''";
    return;
  }
  if (std::all_of(word.begin(), word.end(), [](char c) { return in(bare, c); })) {
    line += word;
    return;
  }
  // Single quotes around each run without one; a single quote itself stands in double quotes.
  while (!word.empty()) {
    if (word.front() == '\'') {
      line += "\"'\"";
      word.remove_prefix(1);
      // GNU parallel separates two quotes by an empty pair; to a shell it is nothing.
      if (!word.empty() && word.front() == '\'') line += "''";
      continue;
    }
    const std::string_view run = word.substr(0, word.find('\''));
    (line += '\'').append(run) += '\'';
    word.remove_prefix(run.size());
  }
}

bool has_metacharacter(std::string_view line) noexcept {
  bool in_first_word = true;
  bool seen_word = false;
  for (const char c : line) {
    if (!in(harmless, c)) return true;
    if (is_blank(c)) {
      in_first_word = in_first_word && !seen_word;
    } else {
      seen_word = true;
      if (in_first_word && c == '=') return true;  // an assignment
    }
  }
  return false;
}

std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < line.size();) {
    if (is_blank(line[at])) {
      ++at;
      continue;
    }
    const std::size_t end = std::min(line.find_first_of(" \t", at), line.size());
    words.emplace_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

}  // namespace pinion::command
