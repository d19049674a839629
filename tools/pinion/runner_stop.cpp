// How a run comes to an early end: interrupts, outputs that cannot be written, and what was not
// run.

#include <fmt/format.h>
#include <string.h>
#include <unistd.h>

#include <cerrno>

#include "errors.hpp"
#include "run_limits.hpp"
#include "runner.hpp"
#include "write_all.hpp"

namespace pinion::command {

void Runner::heed_interrupts() {
  const int count = interrupts_.count();
  if (count == interrupts_heeded_) {
    constexpr auto patience = std::chrono::seconds(5);
    if (count >= 2 && Clock::now() - killed_at_ > patience) pool_.terminate();
    return;
  }
  interrupts_heeded_ = count;
  failed_run_ = true;
  stopped_ = true;
  const unsigned left = begun();
  if (count == 1) {
    const bool hangup = interrupts_.signal() == SIGHUP;
    say(fmt::format("{}: {} running job{} finish; {} kills them", ::strsignal(interrupts_.signal()),
                    left, left == 1 ? " will" : "s will", hangup ? "SIGTERM" : "once more"));
    return;
  }
  say(fmt::format("{}: killing the running jobs", ::strsignal(interrupts_.signal())));
  killed_at_ = Clock::now();
  for (Running& job : running_) {
    if (job.result) job.result->cancel();
  }
}

Tally Runner::tally() const {
  Tally tally{.done = done_, .failed = failed_, .total = total_};
  if (!tally.total && input_ended_) tally.total = sequence_;
  return tally;
}

void Runner::heed_halt_rule(const PlannedJob& job, int status) {
  if (!halt_ || !halt_->is_met(tally(), status) || stopped_) return;
  stop_starting();
  std::string sentence =
      fmt::format("--halt: job {} ({}) has {}", job.sequence,
                  printable(job.line, shown_line_bytes_max), status == 0 ? "succeeded" : "failed");
  const unsigned left = begun();
  if (left > 0) {
    sentence += fmt::format("; {} running job{} {}", left, left == 1 ? "" : "s",
                            halt_->kills() ? "will be ended" : "will finish");
  }
  say(sentence);
  if (halt_->kills()) end_running_jobs();
}

void Runner::end_running_jobs() {
  for (std::uint32_t place = 0; place < running_.size(); ++place) {
    Running& running = running_[place];
    if (!running.result || running.moved || !board_.is_claimed(place)) continue;
    running.ended = Ended::by_halt;
    terminator_.begin(place);
  }
}

void Runner::stop_starting() {
  stopped_ = true;
  if (board_.stop() == JobBoard::Stop::no) board_.request(JobBoard::Stop::finish);
}

void Runner::fail_run(const std::string& sentence) {
  failed_run_ = true;
  stop_starting();
  say(sentence);
}

void Runner::say(const std::string& sentence) {
  bar_.clear();
  // Where standard error cannot be written, there is nobody to tell.
  (void)write_all(STDERR_FILENO, "pinion run: " + printable(sentence) + "\n");
}

void Runner::heed_write_error(const WriteError& error) {
  if (error.error_code == EPIPE) {
    output_closed_ = true;
    stop_starting();
    if (line_buffer_) end_running_jobs();  // as if they had written to the pipe themselves
  } else if (error.error_code == EINTR) {
    failed_run_ = true;  // the user wants the end, and knows
  } else {
    fail_run(error.what());
  }
}

// Says how much was left out, and in the same sentence that the reader of the output has gone.
void Runner::report_unrun() {
  try {
    if (!input_ended_) unrun_.add_rest(*source_, planner_, sequence_ + 1);
  } catch (const InputError& error) {
    say(error.what());
  }
  const std::string unrun = unrun_.text(source_->position(), shown_line_bytes_max);
  if (output_closed_) {
    say("standard output was closed" + (unrun.empty() ? " before all was printed" : "; " + unrun));
  } else if (!unrun.empty()) {
    say(unrun);
  }
}

}  // namespace pinion::command
