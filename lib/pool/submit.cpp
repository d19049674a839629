// How a task or a map is accepted.

#include <pinion/errors.hpp>

#include <stdexcept>
#include <string>
#include <utility>

#include "lib/os/clock.hpp"
#include "lib/pool/core.hpp"
#include "lib/pool/side.hpp"

namespace pinion::pool {

void Core::require_same_process() const {
  if (state_.guard.same_process()) [[likely]]
    return;
  throw PoolClosed("a pool belongs to the process that made it, and this is a forked child");
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

/// With the lock held, which is let go meanwhile: returns when there is room, or nothing is
/// accepted any more.
void Core::make_room(Locked& lock, const TaskOptions* options) {
  while (is_full()) [[unlikely]] {
      lock.unlock();
      wait_for_room(options);
      lock.lock();
    }
}

void Core::wait_for_room(const TaskOptions* options) {
  if (options != nullptr && !options->wait_when_full) {
    turns_.poll();  // it may only look full
    if (state_.pending.load(std::memory_order_relaxed) < state_.options.max_pending) return;
    throw ResourceError(
        "PoolOptions::max_pending", std::to_string(state_.pending.load()) + " items are pending",
        "wait for results, raise the limit, or let TaskOptions::wait_when_full wait");
  }
  turns_.wait_for_room(os::never_ns);
}

void Core::check(const TaskOptions* options) const {
  if (options == nullptr || !options->worker || *options->worker < state_.workers) return;
  throw std::invalid_argument("TaskOptions::worker is " + std::to_string(*options->worker) +
                              "; the pool has " + std::to_string(state_.workers) + " workers");
}

LedgerEntry* Core::submit(const detail::Submission& s) {
  require_same_process();
  check(s.options);
  const std::uint64_t token = state_.modules.token_of(s.thunk).packed();
  std::uint8_t flags = 0;
  if (s.coroutine) flags |= ring::task_is_coroutine;
  if (s.options != nullptr && s.options->timeout.limited()) flags |= ring::task_is_timed;
  if (s.call != nullptr) return submit_large(s, token, flags);
  LedgerEntry* entry = nullptr;
  {
    Locked lock(state_);
    make_room(lock, s.options);
    const bool names_arrays = s.arrays != nullptr && !s.arrays->empty();
    entry = &open_entry(s.options, names_arrays);
    if (names_arrays) entry->side->arrays = std::move(*s.arrays);
    dispatcher_.submit(*entry, token, flags, std::span(s.inline_arguments, s.inline_bytes));
  }
  set_going();
  return entry;
}

namespace {

/// Room for arguments in the arena, until they are submitted.
class Reservation {
 public:
  Reservation(State& state, Dispatcher& dispatcher, std::uint64_t bytes)
      : state_(state), dispatcher_(dispatcher), bytes_(bytes) {}
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation() {
    if (!held_) return;
    const Locked lock(state_);
    give_back();
  }

  /// With the lock held:
  void take() {
    const auto offset = dispatcher_.reserve(bytes_);
    held_ = offset.has_value();
    offset_ = offset.value_or(0);
  }
  void give_back() noexcept {
    if (std::exchange(held_, false)) dispatcher_.unreserve(offset_, bytes_);
  }
  [[nodiscard]] ring::BlockRef submitted() noexcept {
    held_ = false;
    return {offset_, bytes_};
  }

  explicit operator bool() const noexcept { return held_; }
  [[nodiscard]] std::byte* memory() const noexcept { return state_.arena.at(offset_); }

 private:
  State& state_;
  Dispatcher& dispatcher_;
  std::uint64_t bytes_;
  std::uint64_t offset_ = 0;
  bool held_ = false;
};

}  // namespace

/// Arguments beyond a slot's size are written without the lock: that may be the user's code.
LedgerEntry* Core::submit_large(const detail::Submission& s, std::uint64_t token,
                                std::uint8_t flags) {
  const std::uint64_t bytes = s.call->bytes;
  Reservation reserved(state_, dispatcher_, bytes);
  {
    const Locked lock(state_);
    require_open();
    reserved.take();
  }
  std::vector<std::byte> kept(reserved ? 0 : bytes);
  std::byte* const at = reserved ? reserved.memory() : kept.data();
  std::exception_ptr error;
  detail::ArrayHandles arrays;
  try {
    detail::Writer writer(at, at + bytes, &code_, &arrays);
    s.call->write(writer);
  } catch (...) {
    error = std::current_exception();
  }
  LedgerEntry* entry = nullptr;
  {
    Locked lock(state_);
    if (is_full() && reserved && !error) {  // nobody waits for room while holding what others need
      kept.assign(at, at + bytes);
      reserved.give_back();
    }
    make_room(lock, s.options);
    if (error || !state_.accepting()) reserved.give_back();
    entry = &open_entry(s.options, !reserved || !arrays.empty());
    if (!arrays.empty()) entry->side->arrays = std::move(arrays);
    if (error) {
      settler_.local_error(*entry, error);
    } else if (reserved) {
      dispatcher_.submit(*entry, token, flags, reserved.submitted());
    } else {
      dispatcher_.submit(*entry, token, flags, std::move(kept));
    }
  }
  set_going();
  return entry;
}

/// With the lock held. What needs memory comes first: an entry that is counted will end.
LedgerEntry& Core::open_entry(const TaskOptions* options, bool with_side) {
  require_open();
  state_.queue_of(options).reserve_one();
  LedgerEntry& entry = ledger_->take();
  const bool timed = options != nullptr && options->timeout.limited();
  const bool kept = timed || (options != nullptr && (options->retries != 0 || options->worker));
  if (kept || with_side) [[unlikely]] {
    try {
      Settler::side_of(entry);
    } catch (...) {
      Ledger::give(entry);
      throw;
    }
    if (kept) entry.side->options = *options;
  }
  if (!state_.looked_after) [[unlikely]] {  // it was idle for a second
    state_.looked_after = state_.must_look_after = true;
  }
  entry.number = static_cast<std::uint32_t>(++state_.counters.accepted);
  state_.pending.store(state_.pending.load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
  return entry;
}

/// Work that waits needs somebody who collects.
void Core::call_collector() noexcept {
  if (state_.nobody_looks(false)) [[unlikely]]
    state_.tell_service_once();
}

/// What was accepted is on its way when this returns; with the start method `serial` it has run.
void Core::set_going() {
  call_collector();
  if (state_.serial) turns_.run_in_place(os::never_ns);
}

LedgerEntry* Core::submit_map(std::unique_ptr<detail::MapJob> job, const TaskOptions* options) {
  require_same_process();
  check(options);
  auto map = std::make_unique<MapState>();
  map->code = state_.modules.token_of(job->thunk).packed();
  map->job = job.get();
  if (options != nullptr) {
    map->options = *options;
    map->timed = options->timeout.limited();
  }
  LedgerEntry* entry = nullptr;
  {
    Locked lock(state_);
    make_room(lock, options);
    require_open();
    state_.maps.reserve(state_.maps.size() + 1);
    entry = &open_entry(nullptr, true);
    // The map's own entry counts when it ends.
    state_.counters.accepted += job->items - 1;
    state_.pending.store(state_.pending.load(std::memory_order_relaxed) + job->items - 1,
                         std::memory_order_relaxed);
    map->entry = entry;
    entry->side->job = std::move(job);
    MapState& kept = *state_.maps.emplace_back(std::move(map));
    if (kept.job->items == 0) {
      settler_.finish_map(kept);
    } else {
      dispatcher_.submit(kept);
    }
  }
  set_going();
  return entry;
}

}  // namespace pinion::pool
