// Lengths of time on the command line, and how long a job may take.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

namespace pinion::command {

/// "5", "2.5s", "90m", "1h30m", "1d": seconds, or sums with units; upper case is the same. Empty
/// where the text is none, or too long for a clock.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// How long a job may run, as `--timeout` says it.
struct TimeLimitOption {
  std::chrono::nanoseconds fixed{};  ///< where `percent` is 0
  double percent = 0;                ///< of the median of the jobs that have succeeded
};

/// "5m" or "300%". Throws UsageError.
[[nodiscard]] TimeLimitOption parse_time_limit(const std::string& text);

/// The median of all numbers so far. O(log n) for each, and 8 bytes.
class RunningMedian {
 public:
  void add(double number);
  /// The lower one of the two in the middle; empty before the first number.
  [[nodiscard]] std::optional<double> value() const;

 private:
  std::priority_queue<double> low_;
  std::priority_queue<double, std::vector<double>, std::greater<>> high_;  // as many, or one fewer
};

/// The limit that holds now.
class TimeLimit {
 public:
  explicit TimeLimit(const TimeLimitOption& option) noexcept : option_(option) {}

  /// A job has succeeded after so many seconds.
  void add(double seconds) {
    if (option_.percent > 0) median_.add(seconds);
  }
  /// Empty while there is none.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> now() const;

 private:
  TimeLimitOption option_;
  RunningMedian median_;
};

}  // namespace pinion::command
