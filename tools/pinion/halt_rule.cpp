#include "halt_rule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "errors.hpp"

namespace pinion::command {
namespace {

[[noreturn]] void refuse(const std::string& text) {
  throw UsageError(fmt::format(
      "--halt wants 'never', or now or soon, then fail, success or done, and a number or a "
      "percentage, as in now,fail=1 or soon,done=10%, not '{}'",
      text));
}

std::string_view long_form(std::string_view text) {
  if (text == "0") return "never";
  if (text == "1") return "soon,fail=1";
  if (text == "2") return "now,fail=1";
  if (text == "-1") return "soon,success=1";
  if (text == "-2") return "now,success=1";
  return text;
}

// How many of a hundred, or of 1 to 100 as an exit status.
int rounded_up_percentage(std::uint64_t part, std::uint64_t whole) noexcept {
  if (whole == 0) return 0;
  return static_cast<int>((std::min(part, whole) * 100 + whole - 1) / whole);
}

int counted(std::uint64_t jobs) noexcept {
  constexpr std::uint64_t counted_max = 101;  // "more than 100"
  return static_cast<int>(std::min(jobs, counted_max));
}

}  // namespace

std::optional<HaltOption> parse_halt(const std::string& text) {
  std::string_view rest = long_form(text);
  if (rest == "never") return std::nullopt;
  HaltOption option;
  const auto take = [&rest](std::string_view word) {
    const bool found = rest.starts_with(word);
    if (found) rest.remove_prefix(word.size());
    return found;
  };
  const bool only_percentage = rest.find_first_not_of("0123456789%") == std::string_view::npos;
  if (!only_percentage) {
    if (take("now,")) {
      option.when = HaltOption::When::now;
    } else if (!take("soon,")) {
      refuse(text);
    }
    if (take("success=")) {
      option.why = HaltOption::Why::success;
    } else if (take("done=")) {
      option.why = HaltOption::Why::done;
    } else if (!take("fail=")) {
      refuse(text);
    }
  }
  std::uint64_t number = 0;
  const char* const end = rest.data() + rest.size();
  const auto [stop, error] = std::from_chars(rest.data(), end, number);
  const std::string_view unit(stop, static_cast<std::size_t>(end - stop));
  if (error != std::errc{} || number == 0) refuse(text);
  if (unit == "%" && number <= 100) {
    option.percent = static_cast<unsigned>(number);
  } else if (unit.empty() && !only_percentage) {
    option.count = number;
  } else {
    refuse(text);
  }
  return option;
}

bool HaltRule::is_met(const Tally& tally, int status) {
  using Why = HaltOption::Why;
  if (status_) return false;
  const bool failed = status != 0;
  if ((option_.why == Why::fail && !failed) || (option_.why == Why::success && failed)) {
    return false;
  }
  const std::uint64_t reached = option_.why == Why::fail      ? tally.failed
                                : option_.why == Why::success ? tally.done - tally.failed
                                                              : tally.done;
  if (option_.percent > 0) {
    if (!tally.total) return false;
    const auto limit = static_cast<double>(*tally.total) * option_.percent / 100;
    if (static_cast<double>(reached) < limit) return false;
  } else if (reached < option_.count) {
    return false;
  }
  if (option_.why == Why::success) {
    status_ = 0;
  } else if (option_.percent > 0) {
    status_ = rounded_up_percentage(tally.failed, *tally.total);
  } else {
    status_ = option_.count == 1 ? status : counted(tally.failed);
  }
  return true;
}

int HaltRule::exit_status(const Tally& tally) const noexcept {
  if (status_) return *status_;
  return option_.percent > 0 ? rounded_up_percentage(tally.failed, tally.done)
                             : counted(tally.failed);
}

}  // namespace pinion::command
