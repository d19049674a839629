// The line that shows how far a run is.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace pinion::command {

struct Progress {
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  std::optional<std::uint64_t> total{};  ///< unknown when reading a stream
  double elapsed = 0;                    ///< seconds
};

/// The text of the bar, without line ends, at most `width` columns.
[[nodiscard]] std::string progress_text(const Progress& progress, unsigned width);

/// Draws the bar on standard error where that is a terminal, else nothing.
class ProgressBar {
 public:
  explicit ProgressBar(bool wanted);

  [[nodiscard]] bool is_shown() const noexcept { return shown_; }
  /// Draws at most ten times a second, and always when `now` is set.
  void draw(Progress progress, bool now = false);
  /// Takes the bar off the terminal, before something else is printed there.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool shown_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_{};
};

}  // namespace pinion::command
