#include "job.hpp"

#include <pinion/io.hpp>
#include <pinion/process.hpp>
#include <pinion/sleep.hpp>
#include <pinion/this_worker.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "capture.hpp"
#include "job_environment.hpp"
#include "lost_job.hpp"
#include "shortage.hpp"

namespace pinion::command {
namespace {

// Set once, before the workers are forked, which inherit it.
JobSurroundings surroundings;

/// The job slot: a number from 1 that no other job has meanwhile.
class Slot {
 public:
  explicit Slot(unsigned given) : number_(given) {
    if (number_ != 0) return;
    local_ = slots().take();
    number_ = this_worker::index() * surroundings.jobs_each + local_ + 1;
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() {
    if (local_ != none) slots().give_back(local_);
  }
  [[nodiscard]] unsigned number() const noexcept { return number_; }

 private:
  static constexpr unsigned none = ~0u;
  static LocalSlots& slots() {
    static LocalSlots list;
    return list;
  }
  unsigned number_;
  unsigned local_ = none;
};

double seconds(clockid_t clock) noexcept {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// The process of one job; kills its group where the job does not end by itself.
class JobProcess {
 public:
  JobProcess(io::Process process, std::uint32_t place)
      : process_(std::move(process)), place_(place) {
    if (!surroundings.board->publish(place_, process_.pid())) process_.kill_group(SIGKILL);
  }
  JobProcess(const JobProcess&) = delete;
  JobProcess& operator=(const JobProcess&) = delete;
  ~JobProcess() {
    surroundings.board->clear(place_);
    if (!process_.exit()) ::kill(-process_.pid(), SIGKILL);
  }

  /// Takes the group off the board: its leader is about to be reaped.
  io::Process& leave_board() noexcept {
    surroundings.board->clear(place_);
    return process_;
  }
  [[nodiscard]] int pidfd() const noexcept { return process_.pidfd(); }
  [[nodiscard]] pid_t pid() const noexcept { return process_.pid(); }

 private:
  io::Process process_;
  std::uint32_t place_;
};

/// Both pipes and the process's end, behind one descriptor to wait for. The end of a stream is
/// mostly none of the events, since this side holds its writing end, too: one wake-up fewer a job,
/// and it is the process's end that counts.
class Events {
 public:
  enum Source : std::uint32_t { out, err, ended };

  Events() : set_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (!set_) throw std::system_error(errno, std::generic_category(), "cannot watch it");
  }
  void add(int fd, Source source) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = source;
    if (::epoll_ctl(set_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      throw std::system_error(errno, std::generic_category(), "cannot watch it");
    }
  }
  void remove(int fd) noexcept { (void)::epoll_ctl(set_.get(), EPOLL_CTL_DEL, fd, nullptr); }
  [[nodiscard]] int descriptor() const noexcept { return set_.get(); }
  /// Which sources are ready, as bits. With the process's end comes all that was written before.
  [[nodiscard]] unsigned ready() const noexcept {
    std::array<epoll_event, 3> events{};
    const int count = ::epoll_wait(set_.get(), events.data(), 3, 0);
    unsigned bits = 0;
    for (int i = 0; i < count; ++i) bits |= 1u << events[static_cast<std::size_t>(i)].data.u32;
    return bits;
  }

 private:
  Descriptor set_;
};

constexpr bool has(unsigned bits, Events::Source source) { return ((bits >> source) & 1u) != 0; }
constexpr bool has_output(unsigned bits) {
  return has(bits, Events::out) || has(bits, Events::err);
}

Task<void> write_to_file(Capture& capture) {
  capture.open_file();
  try {
    while (!capture.text().empty()) {
      const auto text = std::as_bytes(std::span(capture.text()));
      const std::size_t count = co_await io::write(capture.file(), text, capture.file_bytes());
      capture.note_written(count);
    }
  } catch (const std::system_error& error) {
    throw std::system_error(error.code(), "cannot write its output to a file in " + spill_folder());
  }
}

// Keeps what both captures hold in memory under the limit.
Task<void> bound_memory(Capture& out, Capture& err) {
  while (out.text().size() + err.text().size() > Capture::memory_bytes_max) {
    co_await write_to_file(out.text().size() >= err.text().size() ? out : err);
  }
}

// Gives the file, if any, to the command, and says in `handed_over` how much of it counts.
Task<void> hand_over(Capture& capture, SpillNote note, std::uint64_t& handed_over) {
  if (capture.file_bytes() == 0) co_return;
  const int connection = spill_connection(surroundings.spill_address);
  while (true) {
    const int code = send_spill(connection, note, capture.file());
    if (code == 0) break;
    if (code != EAGAIN) {
      throw std::system_error(code, std::generic_category(), "cannot hand its output over");
    }
    co_await io::poll(connection, POLLOUT);
  }
  handed_over = capture.file_bytes();
}

// Gives what was read to the command, and waits where that does not keep up.
Task<void> forward(Capture& capture, SpillNote note) {
  if (capture.text().empty()) co_return;
  note.kind = SpillKind::text;
  const std::string all = capture.take_text();
  const int connection = spill_connection(surroundings.spill_address);
  for (std::string_view rest = all; !rest.empty();) {
    const std::string_view part = rest.substr(0, spill_text_bytes_max);
    const int code = send_spill_text(connection, note, part);
    if (code == 0) {
      rest.remove_prefix(part.size());
    } else if (code == EAGAIN) {
      co_await io::poll(connection, POLLOUT);
    } else {
      throw std::system_error(code, std::generic_category(), "cannot hand its output over");
    }
  }
}

io::SpawnRequest request_for(const JobSpec& spec, const Capture& out, const Capture& err) {
  io::SpawnRequest request;
  request.argv = spec.argv;
  request.program = spec.program;
  request.stdout_fd = out.write_end();
  request.stderr_fd = err.write_end();
  request.process_group = true;
  request.working_directory = spec.directory;
  return request;
}

// A text file that is marked executable and names no interpreter is the shell's, as in any shell.
// The words hold no metacharacter: with one, the shell would have been chosen at first.
std::vector<std::string> by_shell(const std::vector<std::string>& argv) {
  std::string line;
  for (const std::string& word : argv) (line += line.empty() ? "" : " ") += word;
  return {"/bin/sh", "-c", std::move(line)};
}

Task<io::Process> start(JobSpec& spec, Capture& out, Capture& err) {
  bool is_text = false;
  try {
    io::SpawnRequest request = request_for(spec, out, err);
    // Nobody else runs between this and the start.
    set_job_variables(spec.number, spec.slot);
    io::Process process = co_await io::spawn_process(std::move(request));
    co_return process;
  } catch (const std::system_error& error) {
    const int code = error.code().value();
    is_text = code == ENOEXEC;
    const bool has_moved = code == ENOENT && !spec.program.empty();  // since it was found
    if (!is_text && !has_moved) throw;
  }
  if (is_text) spec.argv = by_shell(spec.argv);
  spec.program.clear();
  io::SpawnRequest request = request_for(spec, out, err);
  set_job_variables(spec.number, spec.slot);
  io::Process process = co_await io::spawn_process(std::move(request));
  co_return process;
}

// What a shell would answer for a program that cannot be started.
int exit_value_of(int error_code) noexcept {
  if (is_shortage(error_code)) return 255;
  return error_code == ENOENT || error_code == ENOTDIR ? 127 : 126;
}

// What was read goes to the command at once, or is kept.
Task<void> pass_on(Capture& out, Capture& err, const JobSpec& spec) {
  if (!surroundings.line_buffer) {
    co_await bound_memory(out, err);
    co_return;
  }
  co_await forward(out, {.sequence = spec.sequence, .place = spec.place, .stream = Stream::out});
  co_await forward(err, {.sequence = spec.sequence, .place = spec.place, .stream = Stream::err});
}

Task<void> take(Events& events, unsigned ready, Capture& out, Capture& err, const JobSpec& spec) {
  if (has(ready, Events::out) && !out.read()) events.remove(out.read_end());
  if (has(ready, Events::err) && !err.read()) events.remove(err.read_end());
  co_await pass_on(out, err, spec);
}

// What the pipes hold. Others that still have them open are not waited for, also where they write
// all the time: a job that leaves a daemon behind has ended.
Task<void> take_rest(Events& events, Capture& out, Capture& err, const JobSpec& spec) {
  constexpr unsigned reads_max = 17;  // of 64 KiB: more than a pipe may hold
  unsigned ready = events.ready();
  for (unsigned i = 0; i < reads_max && has_output(ready); ++i) {
    co_await take(events, ready, out, err, spec);
    ready = events.ready();
  }
}

Task<void> listen(Events& events, Capture& out, Capture& err, const JobSpec& spec) {
  unsigned ready = 0;
  while (!has(ready, Events::ended)) {
    co_await io::poll(events.descriptor(), POLLIN);
    ready = events.ready();
    if (has_output(ready)) co_await take(events, ready, out, err, spec);
  }
  if (has_output(ready)) co_await take_rest(events, out, err, spec);
}

// A job that is ended before its time has ended with the last of its group. Until then its number
// stays its own, since the first of them is not reaped.
Task<void> outlast_group(pid_t group, Events& events, Capture& out, Capture& err,
                         const JobSpec& spec) {
  using namespace std::chrono_literals;
  while (group_is_alive(group)) {
    co_await sleep_for(10ms);
    co_await take_rest(events, out, err, spec);
  }
  ::kill(-group, SIGKILL);  // where not all processes can be seen
}

double seconds_of(const timeval& time) noexcept {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

void look_at_cpus(pid_t pid, JobUsage& usage) {
  usage.cpus = cpus_of(pid);
  usage.bound = !this_worker::cpus().empty() && usage.cpus == this_worker::cpus();
}

// Once for each worker: what the user has set stays.
void set_threads() {
  const std::size_t cpus = this_worker::cpus().size() / surroundings.jobs_each;
  set_thread_variables(surroundings.threads != 0
                           ? surroundings.threads
                           : static_cast<unsigned>(std::max<std::size_t>(cpus, 1)));
}

void note_end(JobResult& result, const io::ProcessExit& exit) {
  result.usage.user = seconds_of(exit.usage.ru_utime);
  result.usage.system = seconds_of(exit.usage.ru_stime);
  result.usage.max_rss_kib = static_cast<std::uint64_t>(exit.usage.ru_maxrss);
  switch (exit.how) {
    case io::ProcessExit::How::exited:
      result.exit_value = exit.code;
      break;
    case io::ProcessExit::How::signaled:
      result.signal = exit.signal;
      break;
    case io::ProcessExit::How::unknown:
      result.exit_value = 255;
      result.error = "its exit status was taken by somebody else";
      break;
  }
}

Task<void> run_process(JobSpec& spec, JobResult& result, Capture& out, Capture& err) {
  Events events;  // made before the process, so that want of files does not end one that runs
  events.add(out.read_end(), Events::out);
  events.add(err.read_end(), Events::err);
  surroundings.board->expect(spec.place, out.pipe_inode());
  JobProcess process(co_await start(spec, out, err), spec.place);
  result.started = true;
  if (surroundings.looks_at_cpus) look_at_cpus(process.pid(), result.usage);
  events.add(process.pidfd(), Events::ended);
  co_await listen(events, out, err, spec);
  if (surroundings.board->is_condemned(spec.place)) {
    co_await outlast_group(process.pid(), events, out, err, spec);
  }
  result.run_time = seconds(CLOCK_MONOTONIC) - result.run_time;
  note_end(result, process.leave_board().reap());
}

void note_error(JobResult& result, const std::system_error& error) {
  result.error = error.what();
  if (!result.started) {
    const int code = error.code().value();
    result.exit_value = exit_value_of(code);
    if (is_shortage(code)) result.shortage = code;
    result.run_time = 0;
  } else if (result.exit_value == 0 && result.signal == 0) {
    result.exit_value = 255;  // it may have succeeded, but its output is lost
  }
}

}  // namespace

void prepare_jobs(const JobSurroundings& given) { surroundings = given; }

Task<JobResult> run_job(JobSpec spec) {
  JobResult result;
  if (!surroundings.board->claim(spec.place) || surroundings.board->stop() != JobBoard::Stop::no) {
    result.withdrawn = true;
    co_return result;
  }
  result.worker = this_worker::index();
  [[maybe_unused]] static const bool threads_are_set = (set_threads(), true);
  const Slot slot(spec.slot);
  spec.slot = slot.number();
  Capture out, err;
  result.start_time = seconds(CLOCK_REALTIME);
  result.run_time = seconds(CLOCK_MONOTONIC);
  surroundings.board->note_begin(spec.place, static_cast<std::int64_t>(result.run_time * 1e9));
  try {
    out.open_pipe();
    err.open_pipe();
    co_await run_process(spec, result, out, err);
  } catch (const std::system_error& error) {
    note_error(result, error);
  }
  out.close_pipe();
  err.close_pipe();
  try {  // what it printed before an error is not lost with it
    co_await hand_over(out, {.sequence = spec.sequence, .place = spec.place, .stream = Stream::out},
                       result.out_spilled);
    co_await hand_over(err, {.sequence = spec.sequence, .place = spec.place, .stream = Stream::err},
                       result.err_spilled);
  } catch (const std::system_error& error) {
    note_error(result, error);
  }
  result.out = out.take_text();
  result.err = err.take_text();
  co_return result;
}

}  // namespace pinion::command
