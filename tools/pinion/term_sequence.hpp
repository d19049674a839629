// The signals that end a job, and when.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace pinion::command {

struct TermStep {
  int signal = 0;
  std::chrono::milliseconds wait{};  ///< for its end, before the next signal
};
using TermSequence = std::vector<TermStep>;

/// "TERM,200,KILL,25": signals by name or number, and milliseconds. Throws UsageError.
[[nodiscard]] TermSequence parse_term_sequence(const std::string& text);

/// GNU parallel's.
constexpr const char* default_term_sequence = "TERM,200,TERM,100,TERM,50,KILL,25";

}  // namespace pinion::command
