// How a stream is opened, grows and ends, and how its outcomes are taken.

#include <utility>

#include "lib/pool/core.hpp"
#include "lib/pool/side.hpp"
#include "lib/pool/stream_job.hpp"

namespace pinion::pool {

LedgerEntry* Core::open_stream(std::unique_ptr<StreamJob> job, const TaskOptions& options) {
  require_same_process();
  check(&options);
  auto map = std::make_unique<MapState>();
  map->code = state_.modules.token_of(job->thunk).packed();
  map->job = job.get();
  map->options = options;
  map->timed = options.timeout.limited();
  const Locked lock(state_);
  require_open();
  state_.maps.reserve(state_.maps.size() + 1);
  LedgerEntry& entry = open_entry(nullptr, true);
  // It counts when it ends; its items when they are taken from the range.
  --state_.counters.accepted;
  state_.pending.store(state_.pending.load(std::memory_order_relaxed) - 1,
                       std::memory_order_relaxed);
  map->entry = &entry;
  job->map = map.get();
  entry.side->job = std::move(job);
  state_.maps.push_back(std::move(map));
  ++state_.open_streams;
  return &entry;
}

bool Core::extend_stream(StreamJob& job, std::vector<detail::StreamArgument>&& arguments) {
  require_same_process();
  const std::uint64_t items = arguments.size();
  {
    Locked lock(state_);
    make_room(lock, nullptr);
    if (!job.open || state_.stopped()) return false;
    MapState& map = *job.map;
    state_.queue_of(map).reserve_one();
    job.add(std::move(arguments));
    job.items += items;
    state_.counters.accepted += items;
    state_.pending.store(state_.pending.load(std::memory_order_relaxed) + items,
                         std::memory_order_relaxed);
    dispatcher_.submit(map);
  }
  set_going();
  return true;
}

void Core::close_stream_input(StreamJob& job) noexcept {
  if (!state_.guard.same_process()) return;
  const Locked lock(state_);
  if (!job.open) return;
  settler_.close_input(*job.map);
  settler_.finish_map(*job.map);
}

/// Streams take no more of their ranges: what they have taken finishes.
void Core::close_stream_inputs() noexcept {
  const Locked lock(state_);
  for (std::size_t i = state_.maps.size(); i-- > 0;) {  // one that ends is replaced by the last
    settler_.close_input(*state_.maps[i]);
    settler_.finish_map(*state_.maps[i]);
  }
}

bool Core::take_from_stream(StreamJob& job, detail::StreamItem& item) {
  require_same_process();
  if (job.ready() == 0) return false;
  const Locked lock(state_);
  if (!job.take(item)) return false;
  if (job.outstanding() == 0 && !over_.load()) {  // others may wait for what never comes
    state_.tell_consumers(job);
    state_.bell.ring(true);
  }
  return true;
}

bool Core::watch(StreamJob& job, const detail::Watch& watch) {
  require_same_process();
  const Locked lock(state_);
  if (job.worth_a_look()) return false;
  job.watches.push_back(watch);
  return true;
}

void Core::unwatch(StreamJob& job, const detail::Watch& watch) noexcept {
  if (!state_.guard.same_process()) return;
  const Locked lock(state_);
  std::erase(job.watches, watch);
}

}  // namespace pinion::pool
