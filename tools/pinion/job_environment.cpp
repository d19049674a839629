#include "job_environment.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "executable_finder.hpp"

namespace pinion::command {
namespace {

// A variable whose text this file owns: `setenv` would keep a copy of every value for ever.
template <std::size_t NameSize>
class NumberVariable {
 public:
  explicit NumberVariable(const char (&name)[NameSize]) noexcept {
    std::copy_n(name, NameSize - 1, text_.begin());
    ::putenv(text_.data());
  }
  void set(std::uint64_t number) noexcept {
    char* const value = text_.data() + NameSize - 1;
    *std::to_chars(value, text_.data() + text_.size() - 1, number).ptr = '\0';
  }

 private:
  std::array<char, NameSize + 21> text_{};
};

constexpr std::string_view function_prefix = "BASH_FUNC_";
constexpr std::string_view function_suffix = "%%=";

}  // namespace

void set_job_variables(std::uint64_t sequence, unsigned slot) noexcept {
  static NumberVariable sequence_variable("PARALLEL_SEQ=");
  static NumberVariable slot_variable("PARALLEL_JOBSLOT=");
  sequence_variable.set(sequence);
  slot_variable.set(slot);
}

bool names_exported_function(const std::vector<std::string>& names) {
  if (names.empty()) return false;
  const bool all = std::find(names.begin(), names.end(), "_") != names.end();
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (!text.starts_with(function_prefix)) continue;
    const std::size_t end = text.find(function_suffix);
    if (end == std::string_view::npos) continue;
    const std::string_view name = text.substr(function_prefix.size(), end - function_prefix.size());
    if (all || std::find(names.begin(), names.end(), name) != names.end()) return true;
  }
  return false;
}

std::string shell_of_functions() {
  ExecutableFinder finder(own_search_path());
  const std::string& found = finder.find("bash");
  return found.empty() ? "/bin/bash" : found;
}

unsigned LocalSlots::take() {
  const auto free = std::find(taken_.begin(), taken_.end(), false);
  const auto slot = static_cast<std::size_t>(free - taken_.begin());
  if (free == taken_.end()) taken_.push_back(true);
  taken_[slot] = true;
  return static_cast<unsigned>(slot);
}

}  // namespace pinion::command
