// The jobs that a run has left out, for the sentence at its end.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "input_source.hpp"
#include "job_planner.hpp"

namespace pinion::command {

class UnrunJobs {
 public:
  void add(std::uint64_t sequence, std::string&& line) {
    if (count_++ > 0 && sequence > first_sequence_) return;
    first_sequence_ = sequence;
    first_ = std::move(line);
  }

  /// Adds what `source` has not given yet, as far as nobody has to be waited for. `sequence`: that
  /// of the next one. Throws InputError.
  void add_rest(InputSource& source, const JobPlanner& planner, std::uint64_t sequence) {
    more_ = !source.is_finite();
    std::vector<std::string> arguments;
    while (!more_ && source.next(arguments) == InputSource::Next::item) {
      // All of them come after those that were added before.
      if (count_++ == 0) first_ = planner.line({arguments, sequence, 1});
    }
  }

  /// A sentence; empty where all jobs were run. `position`: of the last item that was read.
  [[nodiscard]] std::string text(const std::string& position, std::size_t line_bytes_max) const {
    if (count_ > 0) {
      return fmt::format("{}{} job{} not run, the first of them: {}", more_ ? "at least " : "",
                         count_, count_ == 1 ? " was" : "s were",
                         printable(first_, line_bytes_max));
    }
    return more_ ? "the input was not read on after " + position : "";
  }

 private:
  std::uint64_t count_ = 0;
  std::uint64_t first_sequence_ = 0;
  std::string first_;
  bool more_ = false;
};

}  // namespace pinion::command
