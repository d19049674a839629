#include "executable_finder.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "shell_words.hpp"

namespace pinion::command {
namespace {

bool is_executable(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

const std::string& ExecutableFinder::find(const std::string& word) {
  if (const auto known = found_.find(word); known != found_.end()) return known->second;
  if (found_.size() >= remembered_max) found_.clear();
  return found_.emplace(word, look_up(word)).first->second;
}

std::string ExecutableFinder::look_up(const std::string& word) const {
  if (word.find('/') != std::string::npos) return is_executable(word) ? word : std::string();
  std::string_view rest = search_path_;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    std::string candidate(rest.substr(0, end));
    if (!candidate.empty()) candidate += '/';  // an empty entry is the current directory
    candidate += word;
    if (candidate.find('/') == std::string::npos) candidate.insert(0, "./");
    if (is_executable(candidate)) return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

std::vector<std::string> ExecutableFinder::arguments_for(const std::string& line, bool elsewhere) {
  if (!shell_.empty()) return {shell_, "-c", line};
  if (!has_metacharacter(line)) {
    std::vector<std::string> words = split_words(line);
    if (!words.empty() && !find(words.front()).empty() &&
        (!elsewhere || find(words.front()).front() == '/')) {
      return words;
    }
  }
  return {"/bin/sh", "-c", line};
}

}  // namespace pinion::command
