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
  /// `words` are joined by blanks and not quoted: they are shell text. Without words the argument
  /// is the whole command line.
  explicit CommandTemplate(std::span<const std::string> words);

  [[nodiscard]] std::string expand(const Substitution& job) const;
  /// Whether `{%}` occurs, so that the slot must be known before a job is submitted.
  [[nodiscard]] bool uses_slot() const noexcept;

 private:
  enum class Part { text, argument, stem, base, directory, base_stem, sequence, slot };
  struct Piece {
    Part part = Part::text;
    int source = 0;  // 0: all; from 1, or from -1 backwards
    std::string text{};
  };

  static bool parse_replacement(std::string_view text, Piece& piece, std::size_t& length);
  void append_argument(std::string& line, const Piece& piece, const std::string& argument) const;
  static std::string transform(Part part, const std::string& argument);

  std::vector<Piece> pieces_;
  bool quotes_ = true;
};

}  // namespace pinion::command
