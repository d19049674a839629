#include "runner.hpp"

#include <pinion/errors.hpp>

#include <fmt/format.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "errors.hpp"
#include "write_all.hpp"

namespace pinion::command {
namespace {

// What may be held with -k while a slow job keeps the others from being printed. Beyond it no
// further job is started until it has ended.
constexpr std::size_t held_jobs_max = 65'536;
constexpr std::size_t held_bytes_max = std::size_t{64} << 20;
constexpr std::size_t held_files_max = 256;  // a quarter of the usual limit of open files

// How long a submitted job may wait in its worker while fewer jobs run than may. Longer each time,
// so that a slow machine is not kept busy with moves.
std::chrono::milliseconds wait_max(unsigned moves) {
  return std::chrono::milliseconds(2 << std::min(moves, 8u));
}

// One for each worker. None where the slot must be known beforehand, where the workers could run
// more jobs than may run at once, or where looking at all of them would cost more than it saves.
unsigned jobs_ahead(const Division& division, const CommandTemplate& command) {
  constexpr unsigned looked_at_max = 256;
  const bool exact = division.workers * division.jobs_each == division.jobs;
  const bool useful = exact && division.jobs <= looked_at_max;
  return useful && !command.uses_slot() ? division.workers : 0;
}

std::string search_path() {
  const char* path = ::getenv("PATH");
  return path != nullptr ? path : "";
}

PoolOptions pool_options(const RunOptions& options, const Division& division, JobBoard& board,
                         const SpillReceiver& spills) {
  prepare_jobs(board, spills.address());
  PoolOptions result;
  result.processes = division.workers;
  result.child_concurrency = division.jobs_each;
  // Workers must inherit the board.
  result.start_method = StartMethod::fork;
  result.placement = options.placement;
  return result;
}

}  // namespace

Runner::Runner(const RunOptions& options, const Division& division,
               std::unique_ptr<InputSource> source, std::optional<JobLog> log)
    : template_(options.command),
      finder_(search_path()),
      source_(std::move(source)),
      log_(std::move(log)),
      output_(options.keep_order ? Output::Order::input : Output::Order::completion),
      bar_(options.bar),
      board_(division.jobs + 2 * std::size_t{jobs_ahead(division, template_)}),
      guardian_(board_),
      completions_(wakeup_),
      pool_(pool_options(options, division, board_, spills_)),
      interrupts_(board_, wakeup_),
      jobs_(division.jobs),
      ahead_(jobs_ahead(division, template_)),
      may_move_(division.workers > 1),
      running_(jobs_ + 2 * ahead_) {  // a job that was moved has two places for a while
  for (std::uint32_t place = 0; place < running_.size(); ++place) free_places_.push(place);
  spills_.trust([this](pid_t pid) {
    const std::vector<WorkerInfo> workers = pool_.workers();
    return std::any_of(workers.begin(), workers.end(),
                       [pid](const WorkerInfo& worker) { return worker.pid == pid; });
  });
  if (bar_.is_shown()) total_ = source_->total();
  if (options.summary) summary_.emplace();
}

Runner::~Runner() {
  if (free_places_.size() != running_.size()) board_.request(JobBoard::Stop::kill);
}

int Runner::run() {
  while (true) {
    heed_interrupts();
    submit_jobs();
    move_stuck_jobs();
    if (free_places_.size() == running_.size() && (input_ended_ || stopped_)) break;
    draw_bar();
    wait();
    collect();
  }
  draw_bar(true);
  bar_.clear();
  if (summary_) (void)write_all(STDERR_FILENO, summary_->text(pool_.workers()));
  if (stopped_) {
    report_unrun();
  } else if (sequence_ == 0) {
    say(source_->nothing() + ": no job was run");
  }
  return exit_status();
}

bool Runner::may_submit() const {
  return !stopped_ && !input_ended_ && submitted_ < jobs_ + ahead_ && !free_places_.empty() &&
         output_.held_jobs() < held_jobs_max && output_.held_bytes() < held_bytes_max &&
         output_.held_files() < held_files_max;
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
  JobSpec spec{.sequence = sequence, .place = place, .argv = finder_.arguments_for(line)};
  Running& job = running_[place];
  job.sequence = sequence;
  job.line = std::move(line);
  job.submitted = Clock::now();
  job.moves = moves;
  board_.offer(place);
  try {
    job.result.emplace(pool_.apply_async(run_job, std::move(spec)));
  } catch (const std::exception& error) {
    JobResult result;
    result.exit_value = 255;
    result.error = error.what();
    record(sequence, job.line, std::move(result));
    return;
  }
  free_places_.pop();
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
  free_places_.push(place);
  if (job.moved) return;
  --submitted_;
  if (!result.withdrawn) {
    record(job.sequence, job.line, std::move(result));
    return;
  }
  if (withdrawn_++ == 0) first_unrun_ = job.line;
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
  return result;
}

void Runner::record(std::uint64_t sequence, const std::string& line, JobResult&& result) {
  ++done_;
  const bool failed = result.exit_value != 0 || result.signal != 0;
  if (failed) ++failed_;
  if (summary_) summary_->add(result.started, failed, result.worker);
  if (log_) {
    log_->add({.sequence = sequence,
               .start_time = result.start_time,
               .run_time = result.run_time,
               .received = result.out_spilled + result.out.size(),
               .exit_value = result.exit_value,
               .signal = result.signal,
               .command = line});
  }
  guard_writes([&] { output_.add(sequence, output_of(sequence, line, result)); });
}

JobOutput Runner::output_of(std::uint64_t sequence, const std::string& line, JobResult& result) {
  JobOutput output;
  const auto fill = [&](StreamOutput& stream, Stream which, std::uint64_t spilled,
                        std::string& text) {
    stream.text = std::move(text);
    if (spilled == 0) return;
    stream.file = spills_.take(sequence, which);
    stream.file_bytes = spilled;
    if (!stream.file) result.error = "the file with its output has not arrived";
  };
  fill(output.out, Stream::out, result.out_spilled, result.out);
  fill(output.err, Stream::err, result.err_spilled, result.err);
  if (!result.error.empty()) {
    output.err.text += fmt::format("pinion run: job {} ({}): {}\n", sequence, line, result.error);
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
    say(fmt::format("{}: {} running job{} finish; once more kills them",
                    ::strsignal(interrupts_.signal()), left, left == 1 ? " will" : "s will"));
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
  (void)write_all(STDERR_FILENO, "pinion run: " + sentence + "\n");
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

void Runner::draw_bar(bool now) {
  bar_.draw({.done = done_, .failed = failed_, .total = total_}, now);
}

// Says how much was left out. Quiet where the reader of the output has gone, who wants no more.
void Runner::report_unrun() {
  if (output_closed_) return;
  std::uint64_t left = withdrawn_;
  bool more = false;
  try {
    while (!input_ended_) {
      if (!source_->is_finite() || source_->next(arguments_) != InputSource::Next::item) {
        more = !source_->is_finite();
        break;
      }
      if (left++ == 0) first_unrun_ = template_.expand({arguments_, sequence_ + 1, 1});
    }
  } catch (const InputError& error) {
    say(error.what());
  }
  if (left > 0) {
    say(fmt::format("{}{} job{} not run, the first of them: {}", more ? "at least " : "", left,
                    left == 1 ? " was" : "s were", first_unrun_));
  } else if (more) {
    say(fmt::format("the input was not read on after {}", source_->position()));
  }
}

int Runner::exit_status() const {
  if (failed_run_ || output_closed_) return 255;
  constexpr std::uint64_t counted_max = 101;  // "more than 100"
  return static_cast<int>(std::min(failed_, counted_max));
}

}  // namespace pinion::command
