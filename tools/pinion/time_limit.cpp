#include "time_limit.hpp"

#include <fmt/format.h>

#include <charconv>

#include "errors.hpp"

namespace pinion::command {
namespace {

// Far less than what steady clocks can be added to.
constexpr double seconds_max = 1e9;

std::optional<std::chrono::nanoseconds> from_seconds(double seconds) {
  if (!(seconds >= 0 && seconds <= seconds_max)) return std::nullopt;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

std::optional<double> seconds_of_unit(char unit) {
  switch (unit) {
    case 's':
    case 'S':
      return 1.0;
    case 'm':
    case 'M':
      return 60.0;
    case 'h':
    case 'H':
      return 3600.0;
    case 'd':
    case 'D':
      return 86400.0;
    default:
      return std::nullopt;
  }
}

// Takes a number from the begin of `text`.
std::optional<double> take_number(std::string_view& text) {
  // No sign, and no "inf".
  if (text.find_first_of("0123456789.") != 0) return std::nullopt;
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  double seconds = 0;
  do {
    const std::optional<double> number = take_number(text);
    if (!number) return std::nullopt;
    if (text.empty()) return from_seconds(seconds + *number);
    const std::optional<double> unit = seconds_of_unit(text.front());
    if (!unit) return std::nullopt;
    seconds += *number * *unit;
    text.remove_prefix(1);
  } while (!text.empty());
  return from_seconds(seconds);
}

TimeLimitOption parse_time_limit(const std::string& text) {
  std::string_view rest = text;
  if (rest.ends_with('%')) {
    rest.remove_suffix(1);
    const std::optional<double> percent = take_number(rest);
    if (percent && rest.empty() && *percent > 0) return {.percent = *percent};
  } else if (const auto fixed = parse_duration(text); fixed && fixed->count() > 0) {
    return {.fixed = *fixed};
  }
  throw UsageError(fmt::format(
      "--timeout wants a time as in 10, 1.5m or 1h30m, or a percentage as in 300%, not '{}'",
      text));
}

void RunningMedian::add(double number) {
  if (low_.empty() || number <= low_.top()) {
    low_.push(number);
  } else {
    high_.push(number);
  }
  if (low_.size() > high_.size() + 1) {
    high_.push(low_.top());
    low_.pop();
  } else if (high_.size() > low_.size()) {
    low_.push(high_.top());
    high_.pop();
  }
}

std::optional<double> RunningMedian::value() const {
  if (low_.empty()) return std::nullopt;
  return low_.top();
}

std::optional<std::chrono::nanoseconds> TimeLimit::now() const {
  if (option_.percent <= 0) return option_.fixed;
  const std::optional<double> median = median_.value();
  return median ? from_seconds(*median * option_.percent / 100) : std::nullopt;
}

}  // namespace pinion::command
