// One run: reads arguments, keeps the pool's workers busy with jobs, and prints what they printed.
#pragma once

#include <pinion/pool.hpp>

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "division.hpp"
#include "errors.hpp"
#include "executable_finder.hpp"
#include "guardian.hpp"
#include "halt_rule.hpp"
#include "input_source.hpp"
#include "interrupts.hpp"
#include "job.hpp"
#include "job_board.hpp"
#include "job_history.hpp"
#include "job_log.hpp"
#include "job_planner.hpp"
#include "oom_watch.hpp"
#include "options.hpp"
#include "output.hpp"
#include "progress_bar.hpp"
#include "results_table.hpp"
#include "spill.hpp"
#include "stats_log.hpp"
#include "summary.hpp"
#include "terminator.hpp"
#include "time_limit.hpp"
#include "unrun_jobs.hpp"
#include "wakeup.hpp"

namespace pinion::command {

/// All of it runs in one thread, which waits in one place (`wait`). Memory is bounded by the number
/// of jobs at once and the limits below, however many jobs there are.
class Runner {
 public:
  /// Makes the pool. Throws what `Pool` throws.
  Runner(const RunOptions& options, const Division& division, std::unique_ptr<InputSource> source,
         std::optional<JobLog> log, std::optional<StatsLog> stats,
         std::optional<JobHistory> history);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  /// Kills what still runs, which is nothing unless `run` has thrown.
  ~Runner();

  /// Returns the exit status.
  int run();
  /// Whether the reader of standard output has gone, and nothing worse has happened.
  [[nodiscard]] bool output_was_closed() const noexcept { return output_closed_ && !failed_run_; }

 private:
  enum class Ended { by_itself, by_timeout, by_halt };
  struct Running {
    PlannedJob job{};
    std::optional<AsyncResult<JobResult>> result{};  // empty: held back
    std::chrono::steady_clock::time_point submitted{};
    std::uint64_t attempt = 1;
    Ended ended = Ended::by_itself;
    unsigned moves = 0;                          // how often it was taken back before
    bool moved = false;                          // taken back and submitted anew, for another place
    std::optional<std::uint64_t> alone_since{};  // `done_`, where no other job was submitted then
  };
  using Clock = std::chrono::steady_clock;

  void submit_jobs();
  bool submit_next();
  void submit(PlannedJob&& job, std::uint64_t attempt = 1, unsigned moves = 0);
  [[nodiscard]] JobSpec spec_for(const PlannedJob& job, std::uint32_t place);
  void hand_to_pool(std::uint32_t place);
  [[nodiscard]] bool may_submit() const;
  /// How many jobs have begun and not been collected.
  [[nodiscard]] unsigned begun() const;
  void move_stuck_jobs();
  void enforce_time_limit();
  // The main loop shall not sleep beyond that.
  void look_at(Clock::time_point time) { next_look_ = std::min(next_look_, time); }
  void receive_text(const SpillNote& note, std::string_view text);
  void note_end(Running& job, std::uint32_t place, JobResult& result);
  [[nodiscard]] bool must_try_again(const Running& job, const JobResult& result) const;
  void try_again(Running&& job, std::uint32_t place, JobResult& result);
  void heed_halt_rule(const PlannedJob& job, int status);
  [[nodiscard]] Tally tally() const;
  [[nodiscard]] bool must_hold_back(const Running& job, JobResult& result) const;
  void resume_held_jobs();
  void note_unrun(PlannedJob&& job);
  void wait();
  void collect();
  void flush();
  void finish_job(std::uint32_t place);
  [[nodiscard]] JobResult result_of(Running& job, std::uint32_t place);
  void record(const PlannedJob& job, JobResult&& result);
  void log(const PlannedJob& job, const JobResult& result, std::uint64_t received);
  void write_results(const PlannedJob& job, const JobOutput& output);
  [[nodiscard]] static std::string sentence_on(const PlannedJob& job, const JobResult& result);
  void note_stats(const Running& job, const JobResult& result);
  void record_failure(const PlannedJob& job, std::string&& sentence);
  [[nodiscard]] JobOutput row_of(const PlannedJob& job, const JobResult& result,
                                 std::uint64_t received, JobOutput&& output);
  [[nodiscard]] JobOutput output_of(const PlannedJob& job, JobResult& result);

  void heed_interrupts();
  void stop_starting();
  void end_running_jobs();
  void fail_run(const std::string& sentence);
  void say(const std::string& sentence);
  // Turns an output that cannot be written into the end of the run.
  template <class Action>
  void guard_writes(Action&& action) {
    try {
      action();
    } catch (const WriteError& error) {
      heed_write_error(error);
    }
  }
  void heed_write_error(const WriteError& error);
  void draw_bar(bool now = false) {
    bar_.draw({.done = done_ + skipped_, .failed = failed_, .total = total_}, now);
  }
  void report_unrun();
  [[nodiscard]] int exit_status() const {
    constexpr std::uint64_t counted_max = 101;  // "more than 100"
    if (failed_run_ || output_closed_) return 255;
    if (halt_) return halt_->exit_status(tally());
    return static_cast<int>(std::min(failed_, counted_max));
  }

  JobPlanner planner_;
  std::string made_directory_;  // the last one that a job needed
  ExecutableFinder finder_;
  std::unique_ptr<InputSource> source_;
  std::optional<JobLog> log_;
  std::optional<StatsLog> stats_;
  std::optional<OomWatch> oom_watch_;
  std::map<std::uint64_t, std::string> held_lines_;  // of the log, until the output is printed
  std::optional<JobHistory> history_;
  std::optional<ResultsTable> table_;
  Output output_;
  ProgressBar bar_;
  std::optional<Summary> summary_;
  std::optional<std::uint64_t> total_;

  Wakeup wakeup_;
  JobBoard board_;
  Guardian guardian_;
  SpillReceiver spills_;
  Completions completions_;
  Interrupts interrupts_;
  Pool pool_;

  Terminator terminator_;
  std::optional<TimeLimit> time_limit_;
  std::optional<HaltRule> halt_;
  std::uint64_t tries_;  // of a job that fails; 0: without end
  std::chrono::nanoseconds delay_;
  bool line_buffer_;
  bool keep_order_;

  // Jobs that are submitted beyond those that run at once, so that a worker goes on with the next
  // one without waiting for this thread.
  unsigned jobs_;
  unsigned ahead_;
  bool may_move_;  // there is another worker to move a job to
  std::size_t held_files_max_;
  unsigned submitted_ = 0;        // and not ended, nor moved
  std::vector<Running> running_;  // by place
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> free_places_;
  std::vector<std::uint32_t> finished_;  // scratch of `collect`
  std::vector<std::string> arguments_;   // scratch of `submit_next`
  std::uint64_t sequence_ = 0;           // of the job read last
  std::uint64_t skipped_ = 0;            // done by an earlier run
  std::uint64_t done_ = 0;
  std::uint64_t failed_ = 0;
  // Jobs that could not be started for want of files, processes or memory, with their places by
  // sequence number. Each end of another lets some of them try again.
  std::map<std::uint64_t, std::uint32_t> held_back_;
  std::size_t may_resume_ = 0;
  UnrunJobs unrun_;
  bool input_pending_ = false;
  bool input_ended_ = false;
  bool stopped_ = false;     // no further job is started
  bool failed_run_ = false;  // the exit status is 255
  bool output_closed_ = false;
  Clock::time_point next_look_ = Clock::time_point::max();
  Clock::time_point next_start_{};  // of a job, with a delay
  std::vector<pollfd> watched_;     // scratch of `wait`
  int interrupts_heeded_ = 0;
  Clock::time_point killed_at_{};
};

}  // namespace pinion::command
