#include "lib/pool/core.hpp"

#include <unistd.h>
#include <pinion/errors.hpp>

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "lib/loop/loop.hpp"
#include "lib/os/clock.hpp"
#include "lib/os/pidfd.hpp"
#include "lib/pool/locked.hpp"
#include "lib/pool/side.hpp"
#include "lib/pool/start_errors.hpp"
#include "lib/pool/task_errors.hpp"
#include "lib/topology/binding.hpp"

namespace pinion::pool {

namespace {

constexpr unsigned processes_max = 4096;
constexpr unsigned child_concurrency_max = 65'536;

topology::Plan checked_plan(const PoolOptions& options) {
  const auto refuse = [](const std::string& what) { throw std::invalid_argument(what); };
  if (options.processes > processes_max) {
    refuse("PoolOptions::processes is " + std::to_string(options.processes) + "; at most " +
           std::to_string(processes_max) + " workers make a pool");
  }
  if (options.child_concurrency == 0 || options.child_concurrency > child_concurrency_max) {
    refuse("PoolOptions::child_concurrency must be between 1 and 65536, not " +
           std::to_string(options.child_concurrency));
  }
  if (options.max_pending == 0) refuse("PoolOptions::max_pending must be at least 1");
  if (options.io == IoBackend::automatic) static_cast<void>(loop::backend_from_environment());
  return topology::plan_here(options.placement, options.processes);
}

/// Where a bound worker may run now; before it has bound itself, where it will.
topology::CpuSet cpus_of(const Lane& lane) {
  if (lane.cpus.empty() || !lane.was_ready || lane.pid == 0) return lane.cpus;
  const pid_t id = lane.local != nullptr ? lane.local->id() : lane.pid;
  if (id == ::getpid()) return lane.cpus;
  try {
    return topology::bound_cpus(id);
  } catch (const std::system_error&) {  // it is gone, or hidden
    return lane.cpus;
  }
}

}  // namespace

std::uint64_t Core::CodeTable::to_token(const void* function) {
  core_.require_same_process();  // the table lies in memory that a child does not have
  return core_.state_.modules.token_of(function).packed();
}

namespace {

[[noreturn]] void refuse_function() {
  throw EncodingError("a function pointer cannot come back from a worker as a result");
}

}  // namespace

void* Core::CodeTable::from_token(std::uint64_t) { refuse_function(); }

std::uint64_t Core::ResultNames::to_token(const void*) { refuse_function(); }
void* Core::ResultNames::from_token(std::uint64_t) { refuse_function(); }

detail::ArrayHandle Core::ResultNames::array(const detail::ArrayName& name) {
  const auto arrays = arrays_.lock();
  if (arrays == nullptr) {
    throw EncodingError("a result names a shared array of a pool that has ended");
  }
  return arrays->find(name);
}

detail::ArrayHandle Core::make_array(std::size_t bytes) {
  require_same_process();
  std::shared_ptr<Arrays> arrays;
  {
    const Locked lock(state_);
    require_open();
    if (!state_.arena.reserve_array(bytes)) {
      throw ResourceError("PoolOptions::arena_bytes",
                          std::to_string(state_.arena.limit()) + " bytes, of which " +
                              std::to_string(state_.arena.committed()) +
                              " are held, where an array of " + std::to_string(bytes) +
                              " bytes was asked for",
                          "drop handles of arrays, or raise the limit");
    }
    arrays = state_.arena.arrays();
  }
  return arrays->make(bytes);
}

void Core::make(PoolOptions options, const start::WorkerCode& worker_code,
                detail::PoolCore*& core) {
  try {
    auto ledger = Ledger::make();
    auto* made = new Core(std::move(options), worker_code, *ledger, core);
    ledger.release()->adopt(*made);
  } catch (const std::system_error& error) {
    throw_start_error(error);
  }
}

Core::Core(PoolOptions options, const start::WorkerCode& worker_code, Ledger& ledger,
           detail::PoolCore*& core)
    : ledger_(&ledger),
      state_(options, checked_plan(options), *ledger_),
      code_(*this),
      result_names_(state_.arena.arrays()),
      settler_(state_),
      dispatcher_(state_, settler_),
      collector_(state_, settler_, dispatcher_),
      takeback_(state_, settler_, dispatcher_),
      burial_(state_, settler_, dispatcher_, collector_),
      turns_(state_, collector_, takeback_),
      fleet_(state_, dispatcher_, burial_, turns_),
      limits_(state_),
      service_(state_, collector_, takeback_, fleet_, turns_, limits_) {
  code = state_.code = &code_;
  state_.initializer = keep(state_.options.initializer.source(), "initializer");
  state_.finalizer = keep(state_.options.finalizer.source(), "finalizer");
  state_.exception_handler = keep(state_.options.exception_handler.source(), "exception_handler");
  core = this;
  service_.start(worker_code);
}

Core::~Core() = default;

/// The arguments of an option's call stay in the arena for as long as workers are made.
start::KeptCall Core::keep(const std::shared_ptr<const detail::CallSource>& call,
                           const char* option) {
  if (call == nullptr) return {};
  const auto offset = state_.arena.take_arguments(call->bytes);
  if (!offset) {
    throw ResourceError("PoolOptions::arena_bytes",
                        std::string("no room for the arguments of PoolOptions::") + option,
                        "raise the limit");
  }
  detail::Writer writer(state_.arena.at(*offset), state_.arena.at(*offset) + call->bytes, &code_);
  call->write(writer);
  const auto* const thunk = reinterpret_cast<const void*>(call->thunk);
  return {true, state_.modules.token_of(thunk).packed(), *offset, call->bytes};
}

bool Core::wait(LedgerEntry& entry, std::int64_t limit_ns) {
  return turns_.wait_for(entry,
                         limit_ns == Duration::ns_max ? os::never_ns : os::deadline_ns(limit_ns));
}

bool Core::cancel(LedgerEntry& entry) {
  if (entry.done() || !state_.guard.same_process()) return false;
  const Turns::Held held = turns_.take_urgently();
  const Locked lock(state_);
  for (const auto& lane : state_.lanes) {
    if (lane->alive()) collector_.drain(*lane);  // a complete result has won
  }
  if (over_.load()) return false;
  const bool cancelled = takeback_.cancel(entry, cancelled_error(TaskName::single(entry)));
  dispatcher_.feed();
  return cancelled;
}

void Core::when_done(LedgerEntry& entry, std::function<void()> callback) {
  const bool later = state_.callbacks.expect(
      [this](const std::function<bool()>& reached) { turns_.wait_for_callbacks(reached); });
  if (!later) {  // no callback thread is left: here and now
    state_.callbacks.run_here(callback);
    return;
  }
  {
    const Locked lock(state_);
    if (!entry.done()) {
      Settler::side_of(entry).callbacks.push_back(std::move(callback));
      callback = nullptr;
    }
  }
  if (callback) state_.post_callback(std::move(callback));
  call_collector();
}

bool Core::watch(LedgerEntry& entry, const detail::Watch& watch) {
  require_same_process();
  const Locked lock(state_);
  if (entry.done()) return false;
  Settler::side_of(entry).watches.push_back(watch);
  return true;
}

void Core::unwatch(LedgerEntry& entry, const detail::Watch& watch) noexcept {
  if (!state_.guard.same_process()) return;
  const Locked lock(state_);
  if (entry.side == nullptr) return;
  std::erase(entry.side->watches, watch);
}

bool Core::read_in_place(LedgerEntry& entry) {
  if (!state_.guard.same_process()) {
    if (entry.side->segment == nullptr) return false;
    throw PoolClosed(
        "this result lies in memory that a forked child does not have: get it before "
        "the fork");
  }
  const Locked lock(state_);
  if (entry.side->segment == nullptr) return false;
  ++entry.side->readers;
  return true;
}

void Core::end_reading(LedgerEntry& entry) noexcept {
  const Locked lock(state_);
  --entry.side->readers;
}

detail::Side& Core::side_of(LedgerEntry& entry) {
  const Locked lock(state_);
  return Settler::side_of(entry);
}

void Core::release(LedgerEntry& entry) {
  detail::Side* side = nullptr;
  {
    const Locked lock(state_);
    side = settler_.detach(entry);
  }
  delete side;          // without the lock: it may hold the user's values
  Ledger::give(entry);  // the last one after the pool's end takes this core with it
}

void Core::give_one_life() {
  const Locked lock(state_);
  state_.one_life = true;
}

void Core::signal_workers(int number) noexcept {
  if (!state_.guard.same_process()) return;
  const Locked lock(state_);
  for (const auto& lane : state_.lanes) {
    if (lane->alive() && lane->pidfd) os::send_signal(lane->pidfd.get(), number);
  }
}

void Core::close() {
  const Locked lock(state_);
  if (state_.phase != State::Phase::open) return;
  state_.phase = State::Phase::closed;
  state_.refuse();
  state_.must_tell_service = true;
}

void Core::terminate() {
  const Locked lock(state_);
  if (state_.stopped() || over_.load()) return;
  state_.phase = State::Phase::terminated;
  state_.refuse();
  state_.must_stop = true;
  state_.must_tell_service = true;
}

bool Core::join(std::int64_t limit_ns) {
  if (state_.callbacks.on_this_thread()) {
    throw std::logic_error("Pool::join was called from a callback, for whose end it would wait");
  }
  {
    const Locked lock(state_);
    if (state_.accepting()) {
      throw std::logic_error("Pool::join needs close() or terminate() first");
    }
  }
  close_stream_inputs();
  const std::int64_t deadline =
      limit_ns == Duration::ns_max ? os::never_ns : os::deadline_ns(limit_ns);
  // While it waits it collects; the workers leave when nothing is pending.
  if (!turns_.wait_for_drain(deadline)) return false;
  return join_workers(deadline);
}

bool Core::join_workers(std::int64_t deadline) {
  while (state_.serial) {  // they leave in this thread
    const std::int64_t look = os::deadline_ns(1'000'000);
    if (service_.join(std::min(deadline, look))) return true;
    if (os::now_ns() >= deadline) return false;
    turns_.run_in_place(look);
  }
  return service_.join(deadline);
}

void Core::end(bool unwinding) noexcept {
  if (!state_.guard.same_process()) return;
  try {
    if (unwinding) {
      terminate();
    } else {
      close();
    }
    close_stream_inputs();
    const TimeLimit& limit = state_.options.shutdown_limit;
    const std::int64_t deadline = limit.limited() ? os::deadline_ns(limit.ns()) : os::never_ns;
    if (!turns_.wait_for_drain(deadline) || !join_workers(deadline)) {
      terminate();
      turns_.wait_for_drain(os::never_ns);
      join_workers(os::never_ns);
    }
  } catch (...) {
    os::broken_invariant("a pool could not end", __FILE__, __LINE__);
  }
  service_.finish();
  {  // a stream may be read to its end meanwhile
    const std::lock_guard lock(state_.mutex);
    over_.store(true);
    state_.arena.release();
  }
  ledger_->orphan();  // from here on this object is gone, or belongs to the last entry
}

std::vector<WorkerInfo> Core::infos() const {
  std::vector<WorkerInfo> infos;
  const std::lock_guard lock(state_.mutex);
  for (const auto& lane : state_.lanes) {
    WorkerInfo info;
    info.index = lane->index;
    info.pid = lane->alive() ? lane->pid : 0;
    info.cpus = cpus_of(*lane).members();
    info.numa_node = lane->numa_node;
    info.memory_node = lane->memory_node;
    info.memory_reason = lane->memory_reason;
    info.generation = lane->generation;
    info.tasks_done = lane->tasks_done;
    info.stalls = lane->stalls();
    switch (lane->state) {
      case Lane::State::none:
        info.state = WorkerInfo::State::lost;
        break;
      case Lane::State::starting:
        info.state = WorkerInfo::State::starting;
        break;
      case Lane::State::ready:
        info.state = lane->pid != 0 ? WorkerInfo::State::ready : WorkerInfo::State::starting;
        break;
      default:
        info.state = WorkerInfo::State::stopping;
        break;
    }
    if (lane->segment != nullptr) lane->read_note(info);
    infos.push_back(std::move(info));
  }
  return infos;
}

PoolStats Core::stats() const {
  const std::lock_guard lock(state_.mutex);
  PoolStats stats = state_.counters;
  stats.pending = state_.pending.load(std::memory_order_relaxed);
  stats.callback_errors = state_.callbacks.errors();
  stats.arena_bytes = state_.arena.committed();
  stats.wakes = state_.wakes.load(std::memory_order_relaxed);
  for (const auto& lane : state_.lanes) {
    stats.stalls += lane->stalls();
    if (lane->segment == nullptr) continue;
    stats.handler_errors += lane->note().handler_errors.load(std::memory_order_acquire);
  }
  return stats;
}

}  // namespace pinion::pool
