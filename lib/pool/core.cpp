#include "lib/pool/core.hpp"

#include <pinion/errors.hpp>

#include <stdexcept>
#include <utility>

#include "lib/os/clock.hpp"
#include "lib/pool/locked.hpp"
#include "lib/pool/side.hpp"
#include "lib/pool/task_errors.hpp"

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
  if (options.start_method != StartMethod::automatic &&
      options.start_method != StartMethod::fork) {
    refuse("PoolOptions::start_method: this version starts workers by fork only");
  }
  return topology::plan_here(options.placement, options.processes);
}

}  // namespace

std::uint64_t Core::CodeTable::to_token(const void* function) {
  return modules_.token_of(function).packed();
}

void* Core::CodeTable::from_token(std::uint64_t) {
  throw EncodingError("a function pointer cannot come back from a worker as a result");
}

Core& Core::make(PoolOptions options, start::WorkerMain worker_main) {
  auto ledger = Ledger::make();
  auto* core = new Core(std::move(options), worker_main, *ledger);
  ledger.release()->adopt(*core);
  return *core;
}

Core::Core(PoolOptions options, start::WorkerMain worker_main, Ledger& ledger)
    : ledger_(&ledger),
      state_(options, checked_plan(options), *ledger_),
      code_(state_.modules),
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
  keep_initializer();
  service_.start(worker_main);
}

Core::~Core() = default;

/// The initializer's arguments stay in the arena for as long as workers are made.
void Core::keep_initializer() {
  const auto& call = state_.options.initializer.source();
  if (call == nullptr) return;
  const auto offset = state_.arena.take_arguments(call->bytes);
  if (!offset) {
    throw ResourceError("PoolOptions::arena_bytes", "no room for the initializer's arguments",
                        "raise the limit");
  }
  detail::Writer writer(state_.arena.at(*offset), state_.arena.at(*offset) + call->bytes, &code_);
  call->write(writer);
  state_.initializer_code =
      state_.modules.token_of(reinterpret_cast<const void*>(call->thunk)).packed();
  state_.initializer_offset = *offset;
  state_.initializer_bytes = call->bytes;
}

void Core::require_open() const {
  if (state_.accepting()) return;
  if (state_.phase == State::Phase::failed) {
    throw PoolClosed("the pool has failed and takes no new tasks: " + state_.failure);
  }
  throw PoolClosed();
}

/// With the lock held.
bool Core::is_full() const noexcept {
  return state_.pending.load(std::memory_order_relaxed) >= state_.options.max_pending &&
         state_.accepting();
}

/// Takes the lock when there is room, or nothing is accepted any more.
void Core::lock_with_room(std::optional<Locked>& lock) {
  for (;;) {
    lock.emplace(state_);
    if (!is_full()) [[likely]]
      return;
    lock.reset();
    turns_.wait_for_room(os::never_ns);
  }
}

LedgerEntry* Core::submit(const detail::Submission& s) {
  if (!state_.guard.same_process()) [[unlikely]]
    throw PoolClosed("a pool belongs to the process that made it, and this is a forked child");
  const std::uint64_t token = state_.modules.token_of(s.thunk).packed();
  std::uint8_t flags = 0;
  if (s.coroutine) flags |= ring::task_is_coroutine;
  if (s.options != nullptr && s.options->timeout.limited()) flags |= ring::task_is_timed;
  if (s.call != nullptr) return submit_large(s, token, flags);
  LedgerEntry* entry = nullptr;
  {
    std::optional<Locked> lock;
    lock_with_room(lock);
    entry = &open_entry(s.options);
    dispatcher_.submit(*entry, token, flags, std::span(s.inline_arguments, s.inline_bytes));
  }
  look_after();
  return entry;
}

/// Arguments beyond a slot's size are written without the lock: that may be the user's code.
LedgerEntry* Core::submit_large(const detail::Submission& s, std::uint64_t token,
                                std::uint8_t flags) {
  const std::uint64_t bytes = s.call->bytes;
  bool reserved = false;
  std::uint64_t offset = 0;
  {
    const Locked lock(state_);
    require_open();
    const auto block = dispatcher_.reserve(bytes);
    reserved = block.has_value();
    offset = block.value_or(0);
  }
  std::vector<std::byte> kept(reserved ? 0 : bytes);
  std::byte* const at = reserved ? state_.arena.at(offset) : kept.data();
  std::exception_ptr error;
  try {
    detail::Writer writer(at, at + bytes, &code_);
    s.call->write(writer);
  } catch (...) {
    error = std::current_exception();
  }
  LedgerEntry* entry = nullptr;
  {
    std::optional<Locked> lock(std::in_place, state_);
    while (is_full()) {
      if (reserved && !error) {  // nobody waits for room while holding what others need
        kept.assign(at, at + bytes);
        dispatcher_.unreserve(offset, bytes);
        reserved = false;
      }
      lock.reset();
      turns_.wait_for_room(os::never_ns);
      lock.emplace(state_);
    }
    if (reserved && (error || !state_.accepting())) dispatcher_.unreserve(offset, bytes);
    entry = &open_entry(s.options);
    if (error) {
      settler_.local_error(*entry, error);
    } else if (reserved) {
      dispatcher_.submit(*entry, token, flags, ring::BlockRef{offset, bytes});
    } else {
      dispatcher_.submit(*entry, token, flags, std::move(kept));
    }
  }
  look_after();
  return entry;
}

/// With the lock held.
LedgerEntry& Core::open_entry(const TaskOptions* options) {
  require_open();
  LedgerEntry& entry = ledger_->take();
  entry.number = static_cast<std::uint32_t>(++state_.counters.accepted);
  state_.pending.store(state_.pending.load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
  if (options != nullptr && options->timeout.limited()) {
    Settler::side_of(entry).options = *options;
  }
  return entry;
}

/// Work that waits needs somebody who collects.
void Core::look_after() noexcept {
  if (state_.needs_collector() && state_.baton.holder() == Baton::Holder::nobody) [[unlikely]] {
    state_.tell_service_once();
  }
}

LedgerEntry* Core::submit_map(std::unique_ptr<detail::MapJob> job, const TaskOptions* options) {
  if (!state_.guard.same_process()) {
    throw PoolClosed("a pool belongs to the process that made it, and this is a forked child");
  }
  auto map = std::make_unique<MapState>();
  map->code = state_.modules.token_of(job->thunk).packed();
  map->job = job.get();
  if (options != nullptr) {
    map->options = *options;
    map->timed = options->timeout.limited();
  }
  LedgerEntry* entry = nullptr;
  {
    std::optional<Locked> lock;
    lock_with_room(lock);
    require_open();
    entry = &ledger_->take();
    map->entry = entry;
    entry->number = static_cast<std::uint32_t>(state_.counters.accepted + 1);
    state_.counters.accepted += job->items;
    state_.pending.store(state_.pending.load(std::memory_order_relaxed) + job->items,
                         std::memory_order_relaxed);
    Settler::side_of(*entry).job = std::move(job);
    MapState& kept = *state_.maps.emplace_back(std::move(map));
    if (kept.job->items == 0) {
      settler_.finish_map(kept);
    } else {
      dispatcher_.submit(kept);
    }
  }
  look_after();
  return entry;
}

bool Core::wait(LedgerEntry& entry, std::int64_t limit_ns) {
  return turns_.wait_for(entry, limit_ns == Duration::ns_max ? os::never_ns
                                                             : os::deadline_ns(limit_ns));
}

bool Core::cancel(LedgerEntry& entry) {
  if (entry.done() || !state_.guard.same_process()) return false;
  turns_.take_urgently();
  bool cancelled = false;
  {
    const Locked lock(state_);
    for (const auto& lane : state_.lanes) {
      if (lane->alive()) collector_.drain(*lane);  // a complete result has won
    }
    if (!over_.load()) {
      cancelled = takeback_.cancel(entry, cancelled_error(TaskName::single(entry)));
      dispatcher_.feed();
    }
  }
  turns_.leave();
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
  look_after();
}

bool Core::read_in_place(LedgerEntry& entry) {
  if (!state_.guard.same_process()) {
    if (entry.side->segment == nullptr) return false;
    throw PoolClosed("this result lies in memory that a forked child does not have: get it before "
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
  const std::int64_t deadline =
      limit_ns == Duration::ns_max ? os::never_ns : os::deadline_ns(limit_ns);
  // While it waits it collects; the workers leave when nothing is pending.
  if (!turns_.wait_for_drain(deadline)) return false;
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
    turns_.wait_for_drain(os::never_ns);
    service_.join(os::never_ns);
  } catch (...) {
    os::broken_invariant("a pool could not end", __FILE__, __LINE__);
  }
  service_.finish();
  over_.store(true);
  state_.arena.release();
  ledger_->orphan();  // from here on this object is gone, or belongs to the last entry
}

std::vector<WorkerInfo> Core::infos() const {
  std::vector<WorkerInfo> infos;
  const std::lock_guard lock(state_.mutex);
  for (const auto& lane : state_.lanes) {
    WorkerInfo info;
    info.index = lane->index;
    info.pid = lane->alive() ? lane->pid : 0;
    info.cpus = lane->cpus.members();
    info.numa_node = lane->numa_node;
    info.generation = lane->generation;
    info.tasks_done = lane->tasks_done;
    switch (lane->state) {
      case Lane::State::none: info.state = WorkerInfo::State::lost; break;
      case Lane::State::starting: info.state = WorkerInfo::State::starting; break;
      case Lane::State::ready:
        info.state = lane->pid != 0 ? WorkerInfo::State::ready : WorkerInfo::State::starting;
        break;
      default: info.state = WorkerInfo::State::stopping; break;
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
  return stats;
}

}  // namespace pinion::pool
