// Finds executables as a shell would, and remembers them.
#pragma once

#include <stdlib.h>

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pinion::command {

/// The variable PATH of this process.
inline std::string own_search_path() {
  const char* path = ::getenv("PATH");
  return path != nullptr ? path : "";
}

class ExecutableFinder {
 public:
  /// `search_path` as in the variable PATH. Empty: only words with a slash are found.
  explicit ExecutableFinder(std::string search_path) : search_path_(std::move(search_path)) {}

  /// From now on `shell` runs every line: it knows names that nobody else does.
  void always_use(std::string shell) { shell_ = std::move(shell); }

  /// The file that `word` starts; empty where there is none. The reference is good until the next
  /// call.
  [[nodiscard]] const std::string& find(const std::string& word);

  /// What to execute for `line`: its own words where no shell is needed, else `/bin/sh -c line`.
  /// The first word stays as written, since programs see it; `find` knows its file. `elsewhere`: it
  /// runs in another directory than this process, which matters to relative names.
  [[nodiscard]] std::vector<std::string> arguments_for(const std::string& line,
                                                       bool elsewhere = false);

 private:
  [[nodiscard]] std::string look_up(const std::string& word) const;

  // Bounds the memory of a run whose every line starts with another word.
  static constexpr std::size_t remembered_max = 1024;

  std::string search_path_;
  std::string shell_;  // empty: only where one is needed, and then /bin/sh
  std::unordered_map<std::string, std::string> found_;
};

}  // namespace pinion::command
