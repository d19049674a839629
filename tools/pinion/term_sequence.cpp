#include "term_sequence.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "errors.hpp"

namespace pinion::command {
namespace {

struct SignalName {
  std::string_view name;
  int signal;
};
constexpr SignalName signal_names[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ILL", SIGILL},
    {"TRAP", SIGTRAP},     {"ABRT", SIGABRT}, {"BUS", SIGBUS},   {"FPE", SIGFPE},
    {"KILL", SIGKILL},     {"USR1", SIGUSR1}, {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE},     {"ALRM", SIGALRM}, {"TERM", SIGTERM}, {"CHLD", SIGCHLD},
    {"CONT", SIGCONT},     {"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
    {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"SYS", SIGSYS},
};

std::optional<int> parse_number(std::string_view text, int max) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (number < 0 || number > max) return std::nullopt;
  return number;
}

std::optional<int> parse_signal(std::string_view text) {
  constexpr int signal_max = 64;
  if (const std::optional<int> number = parse_number(text, signal_max)) {
    return *number > 0 ? number : std::nullopt;
  }
  if (text.starts_with("SIG")) text.remove_prefix(3);
  for (const SignalName& known : signal_names) {
    if (known.name == text) return known.signal;
  }
  return std::nullopt;
}

}  // namespace

TermSequence parse_term_sequence(const std::string& text) {
  constexpr int wait_ms_max = 24 * 3600 * 1000;
  TermSequence steps;
  bool wants_signal = true;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string_view part = std::string_view(text).substr(at, end - at);
    at = end + 1;
    const std::optional<int> number =
        wants_signal ? parse_signal(part) : parse_number(part, wait_ms_max);
    if (!number) {
      throw UsageError(
          fmt::format("--term-seq wants signals and milliseconds in turn, as in {}; '{}' is no {}",
                      default_term_sequence, part, wants_signal ? "signal" : "time"));
    }
    if (wants_signal) {
      steps.push_back({.signal = *number});
    } else {
      steps.back().wait = std::chrono::milliseconds(*number);
    }
    wants_signal = !wants_signal;
  }
  return steps;
}

}  // namespace pinion::command
