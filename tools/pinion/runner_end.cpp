// What becomes of a job that has ended: tried again, recorded, printed.

#include <pinion/errors.hpp>

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "errors.hpp"
#include "run_limits.hpp"
#include "runner.hpp"
#include "shortage.hpp"

namespace pinion::command {

void Runner::collect() {
  completions_.take(finished_);
  if (line_buffer_) {
    spills_.receive_all();  // what a job has printed was sent before its result
    if (finished_.empty()) guard_writes([this] { output_.flush(); });
  }
  if (finished_.empty()) return;
  bar_.clear();
  for (const std::uint32_t place : finished_) finish_job(place);
  flush();
}

// A job is in the log only when its output is out of the house: otherwise a run that is killed and
// resumed would lose it.
void Runner::flush() {
  guard_writes([this] { output_.flush(); });
  if (stats_) {
    try {
      stats_->flush();
    } catch (const WriteError& error) {
      stats_.reset();
      fail_run(error.what());
    }
  }
  if (!log_) return;
  if (output_.has_failed()) {
    log_->drop();
    return;
  }
  while (!held_lines_.empty() && held_lines_.begin()->first < output_.next()) {
    log_->add(held_lines_.begin()->second);
    held_lines_.erase(held_lines_.begin());
  }
  try {
    log_->flush();
  } catch (const WriteError& error) {
    log_.reset();
    fail_run(error.what());
  }
}

void Runner::finish_job(std::uint32_t place) {
  Running job = std::exchange(running_[place], {});
  JobResult result = result_of(job, place);
  if (job.moved) {
    free_places_.push(place);
    return;
  }
  --submitted_;
  if (must_hold_back(job, result)) {
    job.result.reset();
    held_back_.emplace(job.job.sequence, place);
    running_[place] = std::move(job);  // it keeps its place, whose number may be in its line
    return;
  }
  note_end(job, place, result);
  if (stats_ && !result.withdrawn) note_stats(job, result);
  if (must_try_again(job, result)) {
    try_again(std::move(job), place, result);
    return;
  }
  free_places_.push(place);
  const bool failed = result.exit_value != 0 || result.signal != 0;
  if (result.withdrawn || job.ended == Ended::by_halt) {
    (void)output_of(job.job, result);  // whose files are not needed
    note_unrun(std::move(job.job));
    return;
  }
  may_resume_ += 2;  // more than one, so that a shortage that has passed is soon forgotten
  if (time_limit_ && !failed) time_limit_->add(result.run_time);
  const int status = result.exit_value != 0 ? result.exit_value
                     : result.signal != 0   ? 128 + result.signal
                                            : 0;
  record(job.job, std::move(result));
  heed_halt_rule(job.job, status);
}

void Runner::note_end(Running& job, std::uint32_t place, JobResult& result) {
  const int signal = terminator_.end(place);
  if (signal == 0) job.ended = Ended::by_itself;  // it was quicker
  if (job.ended != Ended::by_timeout) return;
  // As GNU parallel has it in its log.
  result.exit_value = -1;
  if (result.signal == 0) result.signal = signal;
  const std::string limit = fmt::format("{:.3g} s", result.run_time);
  result.error = "was ended after " + limit + ", its time limit";
}

void Runner::note_stats(const Running& job, const JobResult& result) {
  const bool by_somebody_else = job.ended == Ended::by_itself && interrupts_.count() < 2;
  stats_->add(
      {.sequence = job.job.logged_as,
       .attempt = job.attempt,
       .command = job.job.line,
       .result = result,
       .timed_out = job.ended == Ended::by_timeout && result.exit_value == -1,
       .out_of_memory = result.signal == SIGKILL && by_somebody_else && oom_watch_->has_killed()});
}

bool Runner::must_try_again(const Running& job, const JobResult& result) const {
  const bool failed = result.exit_value != 0 || result.signal != 0;
  return failed && !result.withdrawn && !stopped_ && (tries_ == 0 || job.attempt < tries_);
}

// It keeps its place, whose number may be in its line.
void Runner::try_again(Running&& job, std::uint32_t place, JobResult& result) {
  (void)output_of(job.job, result);  // GNU parallel shows that of the last attempt only
  ++job.attempt;
  job.ended = Ended::by_itself;
  job.result.reset();
  running_[place] = std::move(job);
  hand_to_pool(place);
}

void Runner::receive_text(const SpillNote& note, std::string_view text) {
  if (note.place >= running_.size()) return;
  const PlannedJob& job = running_[note.place].job;
  if (job.sequence != note.sequence) return;
  bar_.clear();
  guard_writes([&] {
    if (planner_.has_results()) {
      add_result(note.stream == Stream::out ? job.results.out : job.results.err, text);
      return;
    }
    output_.add_part(job.sequence, job.tag, note.stream, text);
  });
}

// A job fails for want of files, processes or memory only where no other had any of them.
bool Runner::must_hold_back(const Running& job, JobResult& result) const {
  if (result.shortage == 0) return false;
  if (submitted_ > 0 || job.alone_since != done_) return true;
  result.error += fmt::format(", although no other job ran: {}", remedy(result.shortage));
  return false;
}

void Runner::resume_held_jobs() {
  while (!held_back_.empty() && (stopped_ || may_resume_ > 0 || submitted_ == 0)) {
    const std::uint32_t place = held_back_.begin()->second;
    held_back_.erase(held_back_.begin());
    if (stopped_) {
      Running job = std::exchange(running_[place], {});
      free_places_.push(place);
      note_unrun(std::move(job.job));
    } else {
      if (may_resume_ > 0) --may_resume_;
      hand_to_pool(place);
    }
  }
  if (held_back_.empty()) may_resume_ = 0;
}

void Runner::note_unrun(PlannedJob&& job) {
  unrun_.add(job.sequence, std::move(job.line));
  guard_writes([&] { output_.add(job.sequence, {}); });
}

JobResult Runner::result_of(Running& job, std::uint32_t place) {
  JobResult result;
  try {
    return std::move(*job.result).get();
  } catch (const Cancelled&) {
    result.withdrawn = !board_.is_claimed(place);
    result.signal = SIGKILL;
  } catch (const std::exception& error) {
    // Whatever has become of its worker, the job shall not outlive its result.
    board_.kill_lost(place);
    board_.clear(place);
    result.exit_value = 255;
    result.error = error.what();
  }
  if (board_.begun(place) != 0) {
    const Clock::duration lasted =
        Clock::now().time_since_epoch() - std::chrono::nanoseconds(board_.begun(place));
    result.run_time = std::max(std::chrono::duration<double>(lasted).count(), 0.0);
    result.start_time = seconds_since_1970() - result.run_time;
  }
  return result;
}

void Runner::record_failure(const PlannedJob& job, std::string&& sentence) {
  JobResult result;
  result.exit_value = 255;
  result.error = std::move(sentence);
  record(job, std::move(result));
  heed_halt_rule(job, 255);
}

void Runner::record(const PlannedJob& job, JobResult&& result) {
  const std::uint64_t received = result.out_spilled + result.out.size();
  JobOutput output = output_of(job, result);
  ++done_;
  const bool failed = result.exit_value != 0 || result.signal != 0;
  if (failed) ++failed_;
  if (summary_) summary_->add(result.started, failed, result.worker);
  if (log_) log(job, result, received);
  if (planner_.has_results()) {
    write_results(job, std::exchange(output, {}));
    output.err.text = sentence_on(job, result);
  }
  guard_writes([&] {
    if (table_) output = row_of(job, result, received, std::move(output));
    output_.add(job.sequence, std::move(output));
  });
}

// Its output as a row of the table, and what is to be said of it.
JobOutput Runner::row_of(const PlannedJob& job, const JobResult& result, std::uint64_t received,
                         JobOutput&& output) {
  const TableRow row{.sequence = job.logged_as,
                     .start_time = result.start_time > 0 ? result.start_time : seconds_since_1970(),
                     .run_time = result.run_time,
                     .received = received,
                     .exit_value = result.exit_value,
                     .signal = result.signal,
                     .command = job.line,
                     .arguments = job.arguments};
  JobOutput both;
  both.out = table_->row(row, std::move(output));
  both.err.text = sentence_on(job, result);
  return both;
}

void Runner::log(const PlannedJob& job, const JobResult& result, std::uint64_t received) {
  // Whatever it says of itself: a shell may have outlived its command by a moment, and gone on.
  const bool killed = interrupts_.count() >= 2;
  std::string line =
      job_log_line({.sequence = job.logged_as,
                    .start_time = result.start_time > 0 ? result.start_time : seconds_since_1970(),
                    .run_time = result.run_time,
                    .received = received,
                    .exit_value = killed ? exit_value_of_killed_run : result.exit_value,
                    .signal = result.signal,
                    .command = job.line,
                    .mark = job.mark});
  if (keep_order_) {
    held_lines_.emplace(job.sequence, std::move(line));
  } else {
    log_->add(line);
  }
}

// They are not printed, too, as with GNU parallel.
void Runner::write_results(const PlannedJob& job, const JobOutput& output) {
  guard_writes([&] {
    if (!line_buffer_) {
      pinion::command::write_results(job.results, job.logged_as, output);
      return;
    }
    add_result(job.results.out, output.out.text);
    add_result(job.results.err, output.err.text);
    add_result(job.results.sequence, std::to_string(job.logged_as), true);
  });
}

// Empty where all is well.
std::string Runner::sentence_on(const PlannedJob& job, const JobResult& result) {
  if (result.error.empty()) return {};
  return fmt::format("pinion run: job {} ({}): {}\n", job.sequence,
                     printable(job.line, shown_line_bytes_max),
                     printable(result.error, shown_error_bytes_max));
}

JobOutput Runner::output_of(const PlannedJob& job, JobResult& result) {
  JobOutput output;
  output.tag = job.tag;
  const auto fill = [&](StreamOutput& stream, Stream which, std::uint64_t spilled,
                        std::string& text) {
    stream.text = std::move(text);
    if (spilled == 0) return;
    stream.file = spills_.take(job.sequence, which);
    stream.file_bytes = spilled;
    if (stream.file) return;
    result.error = "the file with its output has not arrived";
    if (result.exit_value == 0 && result.signal == 0) result.exit_value = 255;
  };
  fill(output.out, Stream::out, result.out_spilled, result.out);
  fill(output.err, Stream::err, result.err_spilled, result.err);
  output.err.text += sentence_on(job, result);
  return output;
}

}  // namespace pinion::command
