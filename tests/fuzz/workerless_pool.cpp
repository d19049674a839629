#include "fuzz/workerless_pool.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "fuzz/jobs.hpp"
#include "lib/pool/locked.hpp"
#include "lib/pool/side.hpp"

namespace fuzz {

using pinion::TaskOptions;

namespace {

constexpr std::uint64_t code = std::uint64_t{1} << 32 | 4096;  // nobody runs it

pinion::topology::Plan plan() {
  pinion::topology::Plan plan;
  plan.workers.resize(WorkerlessPool::workers);
  return plan;
}

/// What a pool needs to start, and `more`.
pinion::PoolOptions options(WorkerlessPool::Memory memory) {
  constexpr unsigned n = WorkerlessPool::workers;
  constexpr shm::Capacity capacity;
  constexpr std::uint64_t start =
      shm::ManagerLayout{n, capacity}.arguments() + shm::argument_bytes_start +
      shm::BellLayout{n, capacity}.bytes() +
      n * (shm::WorkerLayout{capacity}.results() + shm::result_bytes_start);
  pinion::PoolOptions options;
  options.child_concurrency = 4;
  options.arena_bytes = start + (memory == WorkerlessPool::Memory::growing ? 6 << 20 : 0);
  return options;
}

}  // namespace

void found(const char* what) {
  std::fprintf(stderr, "hostile arena: %s\n", what);
  std::abort();
}

WorkerlessPool::WorkerlessPool(Memory memory)
    : ledger_(pool::Ledger::make()),
      state(options(memory), plan(), *ledger_),
      settler(state),
      dispatcher(state, settler),
      collector(state, settler, dispatcher),
      takeback(state, settler, dispatcher),
      burial(state, settler, dispatcher, collector),
      limits(state),
      memory_(memory),
      workers_(workers) {}

void WorkerlessPool::begin() {
  state.phase = pool::State::Phase::open;
  state.ready_workers = 0;
  state.counters = {};
  std::memset(state.arena.bell_memory(), 0, state.arena.bell_layout().bytes());
  for (unsigned i = 0; i < workers; ++i) {
    bear(i);
    say_ready(i);
  }
}

void WorkerlessPool::end() {
  for (unsigned i = 0; i < workers; ++i) {
    if (state.lanes[i]->alive()) bury(i);
  }
}

/// Zeroed, of a size that has not grown, and of no other use. Made only where there is none.
std::shared_ptr<WorkerlessPool::Memories> WorkerlessPool::make_memory(unsigned worker) {
  for (const auto& made : made_) {
    const bool free = made.use_count() == 1 && made->ours.use_count() == 1;
    if (!free || made->ours->committed() != made->theirs.size()) continue;
    std::memset(made->theirs.begin(), 0, std::max(made->written, results_begin()));
    made->written = 0;
    return made;
  }
  auto made = std::make_shared<Memories>();
  made->ours = state.arena.make_worker_segment(worker, 1, -1).segment;
  const std::uint64_t committed = made->ours->committed();
  made->theirs = pinion::os::Mapping(made->ours->fd(), committed, PROT_READ | PROT_WRITE);
  if (memory_ == Memory::tight) {
    ::mprotect(made->ours->begin() + committed, made->ours->size() - committed, PROT_NONE);
  }
  std::erase_if(made_,
                [](const auto& m) { return m.use_count() == 1 && m->ours.use_count() == 1; });
  return made_.emplace_back(std::move(made));
}

void WorkerlessPool::bear(unsigned worker) {
  const pool::Locked lock(state);
  pool::Lane& lane = *state.lanes[worker];
  Worker& mine = workers_[worker];
  if (std::exchange(mine.ballast, false)) state.arena.forget(*mine.memory->ours);
  mine.memory.reset();
  mine.memory = make_memory(worker);
  lane.segment = mine.memory->ours;
  state.arena.adopt(*lane.segment);
  ++lane.generation;
  lane.reset_flights(state.capacity.flights);
  lane.birth_position = lane.tasks.position();
  mine.produced = lane.results.position();
  lane.results =
      shm::ResultRing::Consumer(lane.segment->begin() + state.arena.worker_layout().result_ring(),
                                state.capacity.ring_slots, mine.produced);
  lane.line->drained.store(mine.produced, std::memory_order_relaxed);
  lane.line->granted.store(lane.segment->committed(), std::memory_order_relaxed);
  lane.respawn_ns = 0;
  lane.state = pool::Lane::State::starting;
}

void WorkerlessPool::say_ready(unsigned worker) {
  ring::ResultMessage message{};
  message.flight = ring::no_flight;
  message.kind = ring::ResultKind::ready;
  push(worker, message);
  drain(worker);
}

void WorkerlessPool::bury(unsigned worker) {
  const pool::Locked lock(state);
  pool::Lane& lane = *state.lanes[worker];
  const bool was_ready = lane.state != pool::Lane::State::starting;
  const std::uint64_t room = lane.segment->committed() * (lane.in_flight() + 1);
  const std::uint64_t before = value_bytes_taken();
  burial.bury(lane, pinion::ExitStatus::signaled(9));
  if (value_bytes_taken() - before > room) found("a burial copied more than the worker had");
  if (was_ready && state.ready_workers > 0) --state.ready_workers;
  Worker& mine = workers_[worker];
  if (memory_ == Memory::tight) {  // or others could grow into its room
    state.arena.adopt(*mine.memory->ours);
    mine.ballast = true;
  } else {
    mine.memory.reset();
  }
}

void WorkerlessPool::push(unsigned worker, const ring::ResultMessage& message) {
  const pool::Lane& lane = *state.lanes[worker];
  if (lane.segment == nullptr) return;
  Worker& mine = workers_[worker];
  mine.produced = std::max(mine.produced, lane.results.position());
  shm::ResultRing::Producer producer(
      mine.memory->theirs.begin() + state.arena.worker_layout().result_ring(),
      state.capacity.ring_slots, mine.produced);
  producer.push(message);
  mine.produced = producer.position();
}

void WorkerlessPool::drain(unsigned worker) {
  pool::Lane& lane = *state.lanes[worker];
  if (!lane.alive()) return;
  const std::uint64_t position = lane.results.position();
  const std::uint64_t before = value_bytes_taken();
  {
    const pool::Locked lock(state);
    collector.drain(lane);
  }
  const std::uint64_t messages = lane.results.position() - position;
  if (messages > state.capacity.ring_slots) found("a drain took more than the ring holds");
  if (value_bytes_taken() - before > messages * lane.segment->committed()) {
    found("an answer was given more values than its worker has memory");
  }
  // What a worker that reads nothing is told: its live blocks, its flights, one grant.
  const std::uint64_t told_max = lane.segment->committed() / 256 + 2 * state.capacity.ring_slots;
  if (lane.controls_waiting.size() > told_max) found("messages pile up that nobody reads");
}

void WorkerlessPool::store(unsigned worker, std::uint64_t at, const void* from, std::size_t size) {
  if (!lane(worker).alive()) return;
  Memories& memory = *workers_[worker].memory;
  const std::size_t room = memory.theirs.size();
  if (at > room || size > room - at) return;
  std::memcpy(memory.theirs.begin() + at, from, size);
  memory.written = std::max(memory.written, at + size);
}

LedgerEntry& WorkerlessPool::submit(std::uint8_t flags, std::size_t argument_bytes,
                                    const TaskOptions* options) {
  const pool::Locked lock(state);
  LedgerEntry& entry = state.ledger.take();
  ++state.counters.accepted;
  state.pending.store(state.pending.load() + 1);
  if (options != nullptr) {
    pool::Settler::side_of(entry).options = *options;
    flags |= ring::task_is_timed;
  }
  std::vector<std::byte> arguments(argument_bytes);
  arguments.reserve(1);  // never null
  if (argument_bytes <= ring::inline_bytes_max) {
    dispatcher.submit(entry, code, flags, std::span<const std::byte>(arguments));
  } else if (const auto offset = dispatcher.reserve(argument_bytes)) {
    dispatcher.submit(entry, code, flags, ring::BlockRef{*offset, argument_bytes});
  } else {
    dispatcher.submit(entry, code, flags, arguments);
  }
  return entry;
}

LedgerEntry& WorkerlessPool::submit_map(std::unique_ptr<pinion::detail::MapJob> job,
                                        const TaskOptions* options) {
  const pool::Locked lock(state);
  auto map = std::make_unique<pool::MapState>();
  map->code = code;
  map->job = job.get();
  if (options != nullptr) {
    map->options = *options;
    map->timed = true;
  }
  LedgerEntry& entry = state.ledger.take();
  map->entry = &entry;
  state.counters.accepted += job->items;
  state.pending.store(state.pending.load() + job->items);
  pool::Settler::side_of(entry).job = std::move(job);
  dispatcher.submit(*state.maps.emplace_back(std::move(map)));
  return entry;
}

}  // namespace fuzz
