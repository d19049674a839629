// The command with its replacement strings, and the line it becomes for one job.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pinion::command {

/// What one job puts into the command.
struct Substitution {
  std::span<const std::string> arguments;  ///< one from each source
  std::uint64_t sequence = 1;              ///< {#}
  unsigned slot = 1;                       ///< {%}
};

/// A parsed command. `{} {.} {/} {//} {/.}` stand for the argument (of all sources, with blanks
/// between; `{2}`, `{2.}` ... for that of one source, `{-1}` for the last), `{#}` for the sequence
/// number and `{%}` for the slot. Where no replacement string is, ` {}` is appended.
///
/// Arguments are quoted for the shell, except where the first word of the command holds a
/// replacement string: then the arguments are command text themselves.
class CommandTemplate {
 public:
  /// What is made safe from the shell.
  enum class Quoting {
    arguments,  ///< the words are shell text
    words,      ///< whole words, with the arguments in them: the shell sees no text but names
    nothing,    ///< this is a text and no command; nothing is appended to it
  };

  /// `words` are joined by blanks. Without words the argument is the whole command line.
  explicit CommandTemplate(std::span<const std::string> words,
                           Quoting quoting = Quoting::arguments);
  /// A text with replacement strings.
  explicit CommandTemplate(const std::string& text)
      : CommandTemplate(std::span(&text, 1), Quoting::nothing) {}

  [[nodiscard]] std::string expand(const Substitution& job) const;
  /// Whether `{%}` occurs, so that the slot must be known before a job is submitted.
  [[nodiscard]] bool uses_slot() const noexcept;
  /// Whether it holds any replacement string.
  [[nodiscard]] bool replaces() const noexcept;

 private:
  enum class Part { text, word_end, argument, stem, base, directory, base_stem, sequence, slot };
  struct Piece {
    Part part = Part::text;
    int source = 0;  // 0: all; from 1, or from -1 backwards
    std::string text{};
  };

  class Line;

  bool parse(const std::string& text);
  static bool parse_replacement(std::string_view text, Piece& piece, std::size_t& length);
  static void append_arguments(Line& line, const Piece& piece,
                               std::span<const std::string> arguments);
  static std::string transform(Part part, const std::string& argument);

  std::vector<Piece> pieces_;
  Quoting quoting_;
};

}  // namespace pinion::command
