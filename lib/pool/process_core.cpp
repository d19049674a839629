#include <pinion/detail/process_core.hpp>

#include <pinion/init.hpp>
#include <pinion/pool.hpp>
#include <pinion/wait.hpp>

#include <csignal>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

namespace pinion::detail {

struct ProcessAccess {
  static PoolCore& core(Pool& pool) noexcept { return *pool.core_; }
};

struct ProcessCore::State {
  ProcessOptions options;
  ProcessCall call;  // until it is given to the process
  int (*exit_code)(const EntryHandle&);
  int exceptions = std::uncaught_exceptions();
  std::unique_ptr<Pool> pool;  // from `start` to `close`
  EntryHandle result;
  pid_t pid = 0;
  std::optional<ExitStatus> status;  // both kept at `close`
  std::exception_ptr error;

  /// Once the process has ended.
  [[nodiscard]] ExitStatus how_it_ended() const;
};

namespace {

/// Ends a wait when the result is there, whatever it is.
class EndAwaiterOf final : public EntryAwaiter {
 public:
  using EntryAwaiter::EntryAwaiter;
  void await_resume() { finish(); }
};

void check(const ProcessOptions& options) {
  const StartMethod method = options.start_method == StartMethod::automatic ? default_start_method()
                                                                            : options.start_method;
  if (method == StartMethod::thread || method == StartMethod::serial) {
    throw std::invalid_argument(
        "ProcessOptions::start_method: a process of its own is made by fork, forkserver or spawn");
  }
}

}  // namespace

ExitStatus ProcessCore::State::how_it_ended() const {
  const std::exception_ptr why = error_of(result.entry());
  if (why == nullptr) return ExitStatus::exited(exit_code(result) & 0xff);
  try {
    std::rethrow_exception(why);
  } catch (const WorkerLost& lost) {
    return lost.status();
  } catch (...) {
    return ExitStatus::exited(1);
  }
}

ProcessCore::ProcessCore(ProcessOptions options, ProcessCall call,
                         int (*exit_code)(const EntryHandle&))
    : state_(std::make_unique<State>()) {
  check(options);
  state_->options = std::move(options);
  state_->call = std::move(call);
  state_->exit_code = exit_code;
}

ProcessCore::ProcessCore(ProcessCore&&) noexcept = default;

ProcessCore::~ProcessCore() {
  if (state_ == nullptr || state_->pool == nullptr) return;
  const bool unwinding = std::uncaught_exceptions() > state_->exceptions;
  if (state_->options.daemon || unwinding) kill();
}

ProcessCore::State& ProcessCore::require_started() const {
  if (state_ == nullptr || state_->pid == 0) {
    throw std::logic_error("pinion::Process: it was not started, or was moved from");
  }
  return *state_;
}

void ProcessCore::start() {
  if (state_ == nullptr || state_->call == nullptr) {
    throw std::logic_error("pinion::Process: it was started or moved from before");
  }
  State& state = *state_;
  const ProcessCall call = std::exchange(state.call, nullptr);
  const ProcessOptions& options = state.options;
  auto pool = std::make_unique<Pool>(PoolOptions{.processes = 1,
                                                 .initializer = options.initializer,
                                                 .child_concurrency = 1,
                                                 .start_method = options.start_method,
                                                 .placement = options.placement,
                                                 .io = options.io});
  give_one_life(ProcessAccess::core(*pool));
  const pid_t pid = pool->workers().front().pid;
  state.result = call(*pool);
  pool->close();
  state.pid = pid;
  state.pool = std::move(pool);
}

EntryHandle ProcessCore::started_call() {
  if (state_ != nullptr && state_->call != nullptr) start();
  State& state = require_started();
  if (!state.result) throw std::logic_error("pinion::Process: it was closed");
  return state.result;
}

ExitStatus ProcessCore::join() {
  State& state = require_started();
  if (state.pool == nullptr) return *state.status;
  state.pool->join();
  return state.how_it_ended();
}

std::optional<ExitStatus> ProcessCore::join(Duration limit) {
  State& state = require_started();
  if (state.pool == nullptr) return state.status;
  if (!state.pool->join(limit)) return std::nullopt;
  return state.how_it_ended();
}

Task<ExitStatus> ProcessCore::join_async() {
  State& state = require_started();
  if (state.result) co_await EndAwaiterOf(state.result);
  co_return join();
}

void ProcessCore::signal(int number) {
  State& state = require_started();
  if (state.pool != nullptr) signal_workers(ProcessAccess::core(*state.pool), number);
}

void ProcessCore::terminate() { signal(SIGTERM); }
void ProcessCore::kill() { signal(SIGKILL); }

void ProcessCore::close() {
  if (state_ == nullptr || state_->pool == nullptr) return;
  const std::optional<ExitStatus> status = join(Duration(std::chrono::seconds(0)));
  if (!status) throw std::logic_error("pinion::Process::close: the process still runs");
  state_->status = status;
  state_->error = error_of(state_->result.entry());
  state_->pool.reset();
  state_->result = {};  // it would keep what is left of the pool
}

pid_t ProcessCore::pid() const noexcept { return state_ == nullptr ? 0 : state_->pid; }

bool ProcessCore::alive() const {
  return state_ != nullptr && state_->pool != nullptr &&
         !state_->pool->join(Duration(std::chrono::seconds(0)));
}

std::optional<ExitStatus> ProcessCore::exit_status() const {
  if (state_ == nullptr || state_->pid == 0) return std::nullopt;
  return const_cast<ProcessCore*>(this)->join(Duration(std::chrono::seconds(0)));
}

std::exception_ptr ProcessCore::error() const {
  if (!exit_status()) return nullptr;
  return state_->result ? error_of(state_->result.entry()) : state_->error;
}

}  // namespace pinion::detail
