#include "progress_bar.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "write_all.hpp"

namespace pinion::command {
namespace {

std::string clock_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::clamp(seconds, 0.0, 3.6e9) + 0.5);
  const auto hours = whole / 3600;
  const auto minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string drawing(double part, unsigned columns) {
  const auto filled = static_cast<unsigned>(part * columns);
  return '[' + std::string(filled, '#') + std::string(columns - filled, '.') + "] ";
}

unsigned terminal_width() noexcept {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string progress_text(const Progress& progress, unsigned width) {
  const double done = static_cast<double>(progress.done);
  const double rate = progress.elapsed > 0 ? done / progress.elapsed : 0;
  std::string text;
  double part = -1;
  if (progress.total && *progress.total > 0) {
    const double total = static_cast<double>(*progress.total);
    part = std::min(done / total, 1.0);
    text = fmt::format("{}/{} {}% {:.1f}/s", progress.done, *progress.total,
                       static_cast<int>(part * 100), rate);
    if (rate > 0) text += " ETA " + clock_text(std::max(total - done, 0.0) / rate);
  } else {
    text = fmt::format("{} done {:.1f}/s {}", progress.done, rate, clock_text(progress.elapsed));
  }
  if (progress.failed > 0) text += fmt::format(" {} failed", progress.failed);
  constexpr unsigned columns_min = 10, columns_max = 40;
  const auto used = static_cast<unsigned>(text.size()) + 3;  // brackets and a blank
  if (part >= 0 && width >= used + columns_min) {
    text.insert(0, drawing(part, std::min(width - used, columns_max)));
  }
  if (text.size() > width) text.resize(width);
  return text;
}

ProgressBar::ProgressBar(bool wanted) : shown_(wanted && ::isatty(STDERR_FILENO) == 1) {}

void ProgressBar::draw(Progress progress, bool now) {
  if (!shown_) return;
  const Clock::time_point time = Clock::now();
  if (!now && time - last_ < std::chrono::milliseconds(100)) return;
  last_ = time;
  progress.elapsed = std::chrono::duration<double>(time - start_).count();
  // One column stays free: a full line would wrap on some terminals.
  std::string line = "\r";
  line.append(progress_text(progress, terminal_width() - 1)).append("\x1b[K");
  drawn_ = write_all(STDERR_FILENO, line) == 0;
}

void ProgressBar::clear() {
  if (!drawn_) return;
  drawn_ = false;
  // A bar that cannot be erased harms nothing.
  (void)write_all(STDERR_FILENO, "\r\x1b[K");
}

}  // namespace pinion::command
