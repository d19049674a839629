// Shell words: quoting one argument, and telling whether a line needs a shell at all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pinion::command {

/// Appends `word` so that a shell reads it as one word, in GNU parallel's spelling: bare where it
/// holds only letters, digits and `-_.+/`, else in single quotes.
void append_quoted(std::string& line, std::string_view word);

/// Whether `line` may mean anything to a shell but words between blanks. Judged by a list of
/// harmless characters, so that what is not known is left to the shell.
[[nodiscard]] bool has_metacharacter(std::string_view line) noexcept;

/// The words of a line without metacharacters.
[[nodiscard]] std::vector<std::string> split_words(std::string_view line);

}  // namespace pinion::command
