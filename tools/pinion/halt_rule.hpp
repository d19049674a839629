// When a run is given up, as `--halt` says it, and what its exit status is then.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace pinion::command {

struct HaltOption {
  enum class When { soon, now };
  enum class Why { fail, success, done };
  When when = When::soon;
  Why why = Why::fail;
  std::uint64_t count = 0;  ///< so many jobs
  unsigned percent = 0;     ///< so many of a hundred jobs, where `count` is 0
};

/// "now,fail=1", "soon,done=10%", and GNU parallel's short forms. Empty: never. Throws UsageError.
[[nodiscard]] std::optional<HaltOption> parse_halt(const std::string& text);

/// What has ended so far.
struct Tally {
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  std::optional<std::uint64_t> total{};  ///< where it is known
};

class HaltRule {
 public:
  explicit HaltRule(const HaltOption& option) noexcept : option_(option) {}

  [[nodiscard]] bool kills() const noexcept { return option_.when == HaltOption::When::now; }
  /// Whether the end of one more job gives the run up; true once at most. `status`: what a shell
  /// would say of that job.
  [[nodiscard]] bool is_met(const Tally& tally, int status);
  /// The exit status of the run.
  [[nodiscard]] int exit_status(const Tally& tally) const noexcept;

 private:
  HaltOption option_;
  std::optional<int> status_;
};

}  // namespace pinion::command
