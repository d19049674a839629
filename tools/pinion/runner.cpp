#include "runner.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "errors.hpp"
#include "job_environment.hpp"
#include "run_limits.hpp"
#include "write_all.hpp"

namespace pinion::command {
namespace {

PoolOptions pool_options(const RunOptions& options, const Division& division, JobBoard& board,
                         const SpillReceiver& spills) {
  prepare_jobs({.board = &board,
                .spill_address = spills.address(),
                .jobs_each = division.jobs_each,
                .threads = division.threads,
                .looks_at_cpus = options.stats.has_value(),
                .line_buffer = options.line_buffer});
  PoolOptions result;
  result.processes = division.workers;
  result.child_concurrency = division.jobs_each;
  // Workers must inherit the board.
  result.start_method = StartMethod::fork;
  result.placement = options.placement;
  result.initializer = call(protect_worker);
  // Whoever looked for work would take the time of the jobs, which have the cores.
  result.idle = Idle::sleep;
  return result;
}

std::optional<ResultsTable> open_table(const RunOptions& options, bool goes_on) {
  const auto separator =
      options.results ? ResultsTable::separator_of(*options.results) : std::nullopt;
  if (!separator) return std::nullopt;
  return ResultsTable(*options.results, *separator, goes_on);
}

}  // namespace

Runner::Runner(const RunOptions& options, const Division& division,
               std::unique_ptr<InputSource> source, std::optional<JobLog> log,
               std::optional<StatsLog> stats, std::optional<JobHistory> history)
    : planner_(options),
      finder_(own_search_path()),
      source_(std::move(source)),
      log_(std::move(log)),
      stats_(std::move(stats)),
      history_(std::move(history)),
      table_(open_table(options, history_.has_value())),
      output_(options.keep_order ? Output::Order::input : Output::Order::completion,
              table_ ? table_->descriptor() : STDOUT_FILENO),
      bar_(options.bar),
      board_(division.jobs + 2 * std::size_t{division.ahead}),
      guardian_(board_),
      completions_(wakeup_),
      interrupts_(board_, wakeup_),
      pool_(pool_options(options, division, board_, spills_)),
      terminator_(board_, options.term_sequence),
      tries_(options.tries),
      delay_(options.delay),
      line_buffer_(options.line_buffer),
      keep_order_(options.keep_order),
      jobs_(division.jobs),
      ahead_(division.ahead),
      may_move_(division.workers > 1),
      held_files_max_(held_files_max()),
      running_(jobs_ + 2 * ahead_) {  // a job that was moved has two places for a while
  for (std::uint32_t place = 0; place < running_.size(); ++place) free_places_.push(place);
  spills_.trust([this](pid_t pid) {
    const std::vector<WorkerInfo> workers = pool_.workers();
    return std::any_of(workers.begin(), workers.end(),
                       [pid](const WorkerInfo& worker) { return worker.pid == pid; });
  });
  if (names_exported_function(options.environment)) finder_.always_use(shell_of_functions());
  spills_.on_text(
      [this](const SpillNote& note, std::string_view text) { receive_text(note, text); });
  if (stats_) oom_watch_.emplace();
  if (options.time_limit) time_limit_.emplace(*options.time_limit);
  if (options.halt) halt_.emplace(*options.halt);
  interrupts_.handle();
  if (bar_.is_shown() || halt_) total_ = source_->total();
  if (options.summary) summary_.emplace();
}

Runner::~Runner() {
  if (free_places_.size() != running_.size()) board_.request(JobBoard::Stop::kill);
}

int Runner::run() {
  while (true) {
    next_look_ = Clock::time_point::max();
    heed_interrupts();
    resume_held_jobs();
    submit_jobs();
    move_stuck_jobs();
    enforce_time_limit();
    if (free_places_.size() == running_.size() && (input_ended_ || stopped_)) break;
    draw_bar();
    wait();
    collect();
  }
  flush();  // the last jobs may be such that were not submitted
  draw_bar(true);
  bar_.clear();
  if (summary_) (void)write_all(STDERR_FILENO, summary_->text(pool_.workers()));
  if (stopped_) {
    report_unrun();
  } else if (sequence_ == 0) {
    say(source_->nothing() + ", so no job was run");
  }
  return exit_status();
}

bool Runner::may_submit() const {
  return !stopped_ && !input_ended_ && held_back_.empty() && submitted_ < jobs_ + ahead_ &&
         !free_places_.empty() && output_.held_jobs() < held_jobs_max &&
         output_.held_bytes() < held_bytes_max && output_.held_files() < held_files_max_;
}

void Runner::submit_jobs() {
  input_pending_ = false;
  try {
    while (may_submit()) {
      if (delay_.count() > 0 && Clock::now() < next_start_) {
        look_at(next_start_);
        break;
      }
      if (!submit_next()) break;
      if (delay_.count() > 0) next_start_ = Clock::now() + delay_;
    }
  } catch (const InputError& error) {
    input_ended_ = true;
    fail_run(fmt::format("{}; nothing after job {} is run", error.what(), sequence_));
  }
}

// Returns whether there may be more.
bool Runner::submit_next() {
  const InputSource::Next next = source_->next(arguments_);
  input_pending_ = next == InputSource::Next::pending;
  input_ended_ = next == InputSource::Next::end;
  if (next != InputSource::Next::item) return false;
  ++sequence_;
  PlannedJob job = planner_.plan(
      {.arguments = arguments_, .sequence = sequence_, .slot = free_places_.top() + 1},
      source_->logged());
  if (history_ && history_->has_done(job.name)) {
    ++skipped_;
    guard_writes([&] { output_.add(sequence_, {}); });
    return true;
  }
  if (job.line.find('\0') == std::string::npos) {
    submit(std::move(job));
    return true;
  }
  record_failure(job, fmt::format("{} holds a NUL character, which no argument can; it was not run "
                                  "(-0 reads lines that end with NUL)",
                                  source_->position()));
  return true;
}

void Runner::submit(PlannedJob&& job, std::uint64_t attempt, unsigned moves) {
  if (!job.directory.empty() && job.directory != made_directory_) {
    std::error_code error;
    std::filesystem::create_directories(job.directory, error);
    if (error) {
      record_failure(job,
                     fmt::format("cannot make its folder {}: {}", job.directory, error.message()));
      return;
    }
    made_directory_ = job.directory;
  }
  const std::uint32_t place = free_places_.top();
  free_places_.pop();
  Running& running = running_[place];
  running.job = std::move(job);
  running.attempt = attempt;
  running.moves = moves;
  hand_to_pool(place);
}

JobSpec Runner::spec_for(const PlannedJob& job, std::uint32_t place) {
  JobSpec spec{.sequence = job.sequence,
               .number = job.logged_as,
               .place = place,
               .argv = finder_.arguments_for(job.line, !job.directory.empty()),
               .directory = job.directory};
  spec.program = finder_.find(spec.argv.front());
  if (ahead_ == 0) spec.slot = place + 1;
  return spec;
}

void Runner::hand_to_pool(std::uint32_t place) {
  Running& job = running_[place];
  JobSpec spec = spec_for(job.job, place);
  if (line_buffer_ && planner_.has_results()) {
    guard_writes([&] {
      add_result(job.job.results.out, "", true);
      add_result(job.job.results.err, "", true);
    });
  }
  job.submitted = Clock::now();
  job.alone_since.reset();
  if (submitted_ == 0) job.alone_since = done_;
  board_.offer(place);
  try {
    job.result.emplace(pool_.apply_async(run_job, std::move(spec)));
  } catch (const std::exception& error) {
    const Running failed = std::exchange(job, {});
    free_places_.push(place);
    record_failure(failed.job, error.what());
    return;
  }
  ++submitted_;
  job.result->on_success([this, place](const JobResult&) { completions_.push(place); });
  job.result->on_error([this, place](const std::exception_ptr&) { completions_.push(place); });
}

// A job that was submitted ahead may wait behind a long one while another worker has nothing to do.
void Runner::move_stuck_jobs() {
  if (ahead_ == 0 || !may_move_ || stopped_) return;
  const unsigned running = begun();
  unsigned may_begin = jobs_ - std::min(running, jobs_);
  if (may_begin == 0 || submitted_ <= running) return;
  const Clock::time_point now = Clock::now();
  for (std::uint32_t place = 0; place < running_.size() && may_begin > 0; ++place) {
    Running& job = running_[place];
    if (!job.result || job.moved || board_.is_claimed(place)) continue;
    const auto limit = wait_max(job.moves);
    if (now - job.submitted < limit) {
      look_at(now + limit);
    } else if (!free_places_.empty() && board_.take_back(place)) {
      job.moved = true;
      --submitted_;
      --may_begin;
      submit(std::move(job.job), job.attempt, job.moves + 1);
    }
  }
}

unsigned Runner::begun() const {
  unsigned count = 0;
  for (std::uint32_t place = 0; place < running_.size(); ++place) {
    if (running_[place].result && board_.is_claimed(place)) ++count;
  }
  return count;
}

void Runner::enforce_time_limit() {
  terminator_.signal_due();
  const auto limit = time_limit_ ? time_limit_->now() : std::nullopt;
  if (limit) {
    const Clock::time_point now = Clock::now();
    for (std::uint32_t place = 0; place < running_.size(); ++place) {
      Running& job = running_[place];
      if (!job.result || job.moved || job.ended != Ended::by_itself) continue;
      // One that has not begun may do so at any time, and nobody tells.
      const std::chrono::nanoseconds begun(board_.begun(place));
      const Clock::time_point due = (begun.count() != 0 ? Clock::time_point(begun) : now) + *limit;
      if (due > now) {
        look_at(due);
      } else {
        job.ended = Ended::by_timeout;
        terminator_.begin(place);
      }
    }
  }
  look_at(terminator_.next());
}

void Runner::wait() {
  watched_.clear();
  watched_.push_back({wakeup_.descriptor(), POLLIN, 0});
  if (input_pending_ && may_submit()) watched_.push_back({source_->descriptor(), POLLIN, 0});
  if (line_buffer_) spills_.watch(watched_);
  using std::chrono::milliseconds;
  if (bar_.is_shown() || interrupts_heeded_ >= 2) look_at(Clock::now() + milliseconds(200));
  int limit_ms = -1;
  if (next_look_ != Clock::time_point::max()) {
    const auto left = std::chrono::ceil<milliseconds>(next_look_ - Clock::now());
    limit_ms = static_cast<int>(std::clamp(left, milliseconds(0), milliseconds(3'600'000)).count());
  }
  if (::poll(watched_.data(), watched_.size(), limit_ms) < 0 && errno != EINTR) {
    throw std::system_error(errno, std::generic_category(), "waiting for jobs");
  }
  if (watched_.front().revents != 0) wakeup_.clear();
}

}  // namespace pinion::command
