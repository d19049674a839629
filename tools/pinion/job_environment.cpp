#include "job_environment.hpp"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
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

void set_thread_variables(unsigned threads) {
  if (::getenv("OMP_NUM_THREADS") != nullptr) return;
  const std::string number = std::to_string(threads);
  for (const char* name :
       {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"}) {
    ::setenv(name, number.c_str(), 0);
  }
}

std::vector<unsigned> cpus_of(pid_t pid) {
  constexpr unsigned cpus_max = 8192;  // that of the kernel
  std::array<unsigned long, cpus_max / (8 * sizeof(unsigned long))> words{};
  constexpr unsigned word_bits = 8 * sizeof(unsigned long);
  // The raw call: the C library's has a type of 1024.
  if (::syscall(SYS_sched_getaffinity, pid, sizeof words, words.data()) <= 0) return {};
  std::vector<unsigned> cpus;
  for (unsigned cpu = 0; cpu < cpus_max; ++cpu) {
    if ((words[cpu / word_bits] >> (cpu % word_bits) & 1) != 0) cpus.push_back(cpu);
  }
  return cpus;
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
