#include "runner.hpp"

#include <pinion/errors.hpp>

#include <fmt/format.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "errors.hpp"
#include "run_limits.hpp"
#include "shortage.hpp"
#include "write_all.hpp"

namespace pinion::command {
namespace {

PoolOptions pool_options(const RunOptions& options, const Division& division, JobBoard& board,
                         const SpillReceiver& spills) {
  prepare_jobs(board, spills.address());
  PoolOptions result;
  result.processes = division.workers;
  result.child_concurrency = division.jobs_each;
  // Workers must inherit the board.
  result.start_method = StartMethod::fork;
  result.placement = options.placement;
  result.initializer = call(protect_worker);
  return result;
}

}  // namespace

Runner::Runner(const RunOptions& options, const Division& division,
               std::unique_ptr<InputSource> source, std::optional<JobLog> log)
    : template_(options.command),
      finder_(own_search_path()),
      source_(std::move(source)),
      log_(std::move(log)),
      output_(options.keep_order ? Output::Order::input : Output::Order::completion),
      bar_(options.bar),
      board_(division.jobs + 2 * std::size_t{jobs_ahead(division, template_)}),
      guardian_(board_),
      completions_(wakeup_),
      interrupts_(board_, wakeup_),
      pool_(pool_options(options, division, board_, spills_)),
      jobs_(division.jobs),
      ahead_(jobs_ahead(division, template_)),
      may_move_(division.workers > 1),
      held_files_max_(held_files_max()),
      running_(jobs_ + 2 * ahead_) {  // a job that was moved has two places for a while
  for (std::uint32_t place = 0; place < running_.size(); ++place) free_places_.push(place);
  spills_.trust([this](pid_t pid) {
    const std::vector<WorkerInfo> workers = pool_.workers();
    return std::any_of(workers.begin(), workers.end(),
                       [pid](const WorkerInfo& worker) { return worker.pid == pid; });
  });
  interrupts_.handle();
  if (bar_.is_shown()) total_ = source_->total();
  if (options.summary) summary_.emplace();
}

Runner::~Runner() {
  if (free_places_.size() != running_.size()) board_.request(JobBoard::Stop::kill);
}

int Runner::run() {
  while (true) {
    heed_interrupts();
    resume_held_jobs();
    submit_jobs();
    move_stuck_jobs();
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
    while (may_submit() && submit_next()) {
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
  std::string line = template_.expand(
      {.arguments = arguments_, .sequence = sequence_, .slot = free_places_.top() + 1});
  if (line.find('\0') == std::string::npos) {
    submit(sequence_, std::move(line));
    return true;
  }
  JobResult result;
  result.exit_value = 255;
  result.error = fmt::format(
      "{} holds a NUL character, which no argument can; it was not run (-0 reads lines that end "
      "with NUL)",
      source_->position());
  record(sequence_, line, std::move(result));
  return true;
}

void Runner::submit(std::uint64_t sequence, std::string line, unsigned moves) {
  const std::uint32_t place = free_places_.top();
  free_places_.pop();
  Running& job = running_[place];
  job.sequence = sequence;
  job.line = std::move(line);
  job.moves = moves;
  hand_to_pool(place);
}

void Runner::hand_to_pool(std::uint32_t place) {
  Running& job = running_[place];
  JobSpec spec{.sequence = job.sequence, .place = place, .argv = finder_.arguments_for(job.line)};
  spec.program = finder_.find(spec.argv.front());
  job.submitted = Clock::now();
  job.alone_since.reset();
  if (submitted_ == 0) job.alone_since = done_;
  board_.offer(place);
  try {
    job.result.emplace(pool_.apply_async(run_job, std::move(spec)));
  } catch (const std::exception& error) {
    JobResult result;
    result.exit_value = 255;
    result.error = error.what();
    const Running failed = std::exchange(job, {});
    free_places_.push(place);
    record(failed.sequence, failed.line, std::move(result));
    return;
  }
  ++submitted_;
  job.result->on_success([this, place](const JobResult&) { completions_.push(place); });
  job.result->on_error([this, place](const std::exception_ptr&) { completions_.push(place); });
}

// A job that was submitted ahead may wait behind a long one while another worker has nothing to do.
void Runner::move_stuck_jobs() {
  look_again_ = std::chrono::milliseconds(-1);
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
      look_again_ = look_again_.count() < 0 ? limit : std::min(look_again_, limit);
    } else if (!free_places_.empty() && board_.take_back(place)) {
      job.moved = true;
      --submitted_;
      --may_begin;
      submit(job.sequence, std::move(job.line), job.moves + 1);
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

void Runner::wait() {
  pollfd watched[2] = {{wakeup_.descriptor(), POLLIN, 0}, {source_->descriptor(), POLLIN, 0}};
  const nfds_t count = input_pending_ && may_submit() ? 2 : 1;
  const bool ticking = bar_.is_shown() || interrupts_heeded_ >= 2;
  int limit_ms = ticking ? 200 : -1;
  if (look_again_.count() >= 0) limit_ms = static_cast<int>(look_again_.count());
  if (::poll(watched, count, limit_ms) < 0 && errno != EINTR) {
    throw std::system_error(errno, std::generic_category(), "waiting for jobs");
  }
  if (watched[0].revents != 0) wakeup_.clear();
}

void Runner::collect() {
  completions_.take(finished_);
  if (finished_.empty()) return;
  bar_.clear();
  for (const std::uint32_t place : finished_) finish_job(place);
  flush();
}

void Runner::flush() {
  guard_writes([this] { output_.flush(); });
  if (log_) {
    try {
      log_->flush();
    } catch (const WriteError& error) {
      log_.reset();
      fail_run(error.what());
    }
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
    held_back_.emplace(job.sequence, place);
    running_[place] = std::move(job);  // it keeps its place, whose number may be in its line
    return;
  }
  free_places_.push(place);
  if (result.withdrawn) {
    note_unrun(job.sequence, std::move(job.line));
  } else {
    may_resume_ += 2;  // more than one, so that a shortage that has passed is soon forgotten
    record(job.sequence, job.line, std::move(result));
  }
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
      note_unrun(job.sequence, std::move(job.line));
    } else {
      if (may_resume_ > 0) --may_resume_;
      hand_to_pool(place);
    }
  }
  if (held_back_.empty()) may_resume_ = 0;
}

void Runner::note_unrun(std::uint64_t sequence, std::string&& line) {
  unrun_.add(sequence, std::move(line));
  guard_writes([&] { output_.add(sequence, {}); });
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
    result.start_time = static_cast<double>(board_.begun(place)) * 1e-6;
    result.run_time = std::max(seconds_since_1970() - result.start_time, 0.0);
  }
  return result;
}

void Runner::record(std::uint64_t sequence, const std::string& line, JobResult&& result) {
  const std::uint64_t received = result.out_spilled + result.out.size();
  JobOutput output = output_of(sequence, line, result);
  ++done_;
  const bool failed = result.exit_value != 0 || result.signal != 0;
  if (failed) ++failed_;
  if (summary_) summary_->add(result.started, failed, result.worker);
  if (log_) {
    log_->add({.sequence = sequence,
               .start_time = result.start_time > 0 ? result.start_time : seconds_since_1970(),
               .run_time = result.run_time,
               .received = received,
               .exit_value = result.exit_value,
               .signal = result.signal,
               .command = line});
  }
  guard_writes([&] { output_.add(sequence, std::move(output)); });
}

JobOutput Runner::output_of(std::uint64_t sequence, const std::string& line, JobResult& result) {
  JobOutput output;
  const auto fill = [&](StreamOutput& stream, Stream which, std::uint64_t spilled,
                        std::string& text) {
    stream.text = std::move(text);
    if (spilled == 0) return;
    stream.file = spills_.take(sequence, which);
    stream.file_bytes = spilled;
    if (stream.file) return;
    result.error = "the file with its output has not arrived";
    if (result.exit_value == 0 && result.signal == 0) result.exit_value = 255;
  };
  fill(output.out, Stream::out, result.out_spilled, result.out);
  fill(output.err, Stream::err, result.err_spilled, result.err);
  if (!result.error.empty()) {
    output.err.text += fmt::format("pinion run: job {} ({}): {}\n", sequence,
                                   printable(line, shown_line_bytes_max),
                                   printable(result.error, shown_error_bytes_max));
  }
  return output;
}

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

template <class Action>
void Runner::guard_writes(Action&& action) {
  try {
    action();
  } catch (const WriteError& error) {
    if (error.error_code == EPIPE) {
      output_closed_ = true;
      stop_starting();
    } else if (error.error_code == EINTR) {
      failed_run_ = true;  // the user wants the end, and knows
    } else {
      fail_run(error.what());
    }
  }
}

// Says how much was left out, and in the same sentence that the reader of the output has gone.
void Runner::report_unrun() {
  try {
    if (!input_ended_) unrun_.add_rest(*source_, template_, sequence_ + 1);
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
