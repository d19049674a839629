#include "command_template.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "shell_words.hpp"

namespace pinion::command {
namespace {

std::string base_name(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string without_extension(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  if (dot == std::string::npos || path.find('/', dot) != std::string::npos) return path;
  return path.substr(0, dot);
}

// As dirname(1): no trailing slashes, "." where there is no directory.
std::string directory_name(std::string path) {
  const auto strip_slashes = [&path] {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
  };
  strip_slashes();
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  path.resize(std::max<std::size_t>(slash, 1));
  strip_slashes();
  return path;
}

}  // namespace

// The line under construction: what is quoted, and when.
class CommandTemplate::Line {
 public:
  explicit Line(Quoting quoting) noexcept : quoting_(quoting) {}

  void add_text(const std::string& text) { (quoting_ == Quoting::words ? word_ : line_) += text; }
  void add_argument(const std::string& argument) {
    if (quoting_ == Quoting::words) {
      word_ += argument;
    } else if (quoting_ == Quoting::arguments) {
      append_quoted(line_, argument);
    } else {
      line_ += argument;
    }
  }
  void end_word() {
    if (quoting_ == Quoting::words) append_quoted(line_, std::exchange(word_, {}));
  }
  // Between arguments that stand in one place.
  void separate() {
    end_word();
    line_ += ' ';
  }
  void add_blank() { line_ += ' '; }
  [[nodiscard]] std::string take() noexcept { return std::move(line_); }

 private:
  Quoting quoting_;
  std::string line_;
  std::string word_;
};

CommandTemplate::CommandTemplate(std::span<const std::string> words, Quoting quoting)
    : quoting_(quoting) {
  bool replaces = false;
  if (words.empty()) {
    replaces = parse("{}");
    pieces_.push_back({.part = Part::word_end});
  } else if (quoting == Quoting::words) {
    for (const std::string& word : words) {
      replaces = parse(word) || replaces;
      pieces_.push_back({.part = Part::word_end});
    }
  } else {
    std::string text;
    for (const std::string& word : words) (text += text.empty() ? "" : " ") += word;
    replaces = parse(text);
  }
  if (replaces || quoting == Quoting::nothing) return;
  if (quoting == Quoting::arguments) pieces_.push_back({.part = Part::text, .text = " "});
  pieces_.push_back({.part = Part::argument});
  pieces_.push_back({.part = Part::word_end});
}

// Returns whether there are replacement strings in it.
bool CommandTemplate::parse(const std::string& text) {
  bool replaces = false;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) pieces_.push_back({.part = Part::text, .text = std::move(literal)});
    literal.clear();
  };
  bool in_first_word = true;
  for (std::size_t at = 0; at < text.size();) {
    Piece piece;
    std::size_t length = 0;
    if (text[at] == '{' && parse_replacement(std::string_view(text).substr(at), piece, length)) {
      flush();
      pieces_.push_back(std::move(piece));
      replaces = true;
      if (in_first_word && quoting_ == Quoting::arguments) quoting_ = Quoting::nothing;
      at += length;
      continue;
    }
    const char c = text[at++];
    // "NAME={} command": an assignment, whose value is an argument like others.
    if (c == ' ' || c == '\t' || c == '\n' || c == '=') in_first_word = false;
    literal += c;
  }
  flush();
  return replaces;
}

bool CommandTemplate::parse_replacement(std::string_view text, Piece& piece, std::size_t& length) {
  const std::size_t close = text.find('}');
  if (close == std::string_view::npos) return false;
  std::string_view inside = text.substr(1, close - 1);
  length = close + 1;
  if (inside == "#" || inside == "%") {
    piece.part = inside == "#" ? Part::sequence : Part::slot;
    return true;
  }
  const auto [end, error] =
      std::from_chars(inside.data(), inside.data() + inside.size(), piece.source);
  if (error == std::errc::result_out_of_range) return false;
  if (error == std::errc{}) inside.remove_prefix(static_cast<std::size_t>(end - inside.data()));
  static constexpr struct {
    std::string_view suffix;
    Part part;
  } parts[] = {{"", Part::argument},
               {".", Part::stem},
               {"/", Part::base},
               {"//", Part::directory},
               {"/.", Part::base_stem}};
  for (const auto& candidate : parts) {
    if (inside != candidate.suffix) continue;
    piece.part = candidate.part;
    return true;
  }
  return false;
}

std::string CommandTemplate::transform(Part part, const std::string& argument) {
  switch (part) {
    case Part::stem:
      return without_extension(argument);
    case Part::base:
      return base_name(argument);
    case Part::directory:
      return directory_name(argument);
    case Part::base_stem:
      return without_extension(base_name(argument));
    default:
      return argument;
  }
}

void CommandTemplate::append_arguments(Line& line, const Piece& piece,
                                       std::span<const std::string> arguments) {
  const auto append = [&](const std::string& argument) {
    if (piece.part == Part::argument) {
      line.add_argument(argument);
    } else {
      line.add_argument(transform(piece.part, argument));
    }
  };
  const auto count = static_cast<int>(arguments.size());
  if (piece.source == 0) {
    for (int i = 0; i < count; ++i) {
      if (i > 0) line.separate();
      append(arguments[static_cast<std::size_t>(i)]);
    }
    return;
  }
  // A source that does not exist is nothing, as with GNU parallel.
  const int index = piece.source > 0 ? piece.source - 1 : count + piece.source;
  if (index >= 0 && index < count) append(arguments[static_cast<std::size_t>(index)]);
}

std::string CommandTemplate::expand(const Substitution& job) const {
  Line line(quoting_);
  for (const Piece& piece : pieces_) {
    switch (piece.part) {
      case Part::text:
        line.add_text(piece.text);
        break;
      case Part::word_end:
        line.end_word();
        if (&piece != &pieces_.back()) line.add_blank();
        break;
      case Part::sequence:
        line.add_text(std::to_string(job.sequence));
        break;
      case Part::slot:
        line.add_text(std::to_string(job.slot));
        break;
      default:
        append_arguments(line, piece, job.arguments);
        break;
    }
  }
  return line.take();
}

bool CommandTemplate::uses_slot() const noexcept {
  return std::any_of(pieces_.begin(), pieces_.end(),
                     [](const Piece& piece) { return piece.part == Part::slot; });
}

bool CommandTemplate::replaces() const noexcept {
  return std::any_of(pieces_.begin(), pieces_.end(), [](const Piece& piece) {
    return piece.part != Part::text && piece.part != Part::word_end;
  });
}

}  // namespace pinion::command
