#include "lib/pool/state.hpp"

#include "lib/os/membarrier.hpp"

#include "lib/pool/side.hpp"
#include "lib/pool/stream_job.hpp"

namespace pinion::pool {

Backlog& State::queue_of(const LedgerEntry& entry) noexcept {
  return queue_of(entry.side != nullptr ? &entry.side->options : nullptr);
}

void State::enqueue(Waiting waiting) {
  Backlog& queue = queue_of(waiting);
  queue.push_back(waiting);
  if (&queue != &backlog) bound_waiting = true;
}

void State::put_back(Waiting waiting) {
  Backlog& queue = queue_of(waiting);
  queue.push_front(waiting);
  if (&queue != &backlog) bound_waiting = true;
}

void State::tell(const detail::Watch& watch) noexcept {
  count_awaiter(watch, -1);
  watch.watcher->ended(watch.tag);
  baton.tell(watch.watcher);
}

void State::tell_consumers(StreamJob& job) noexcept {
  baton.tell(static_cast<detail::MapJob*>(&job));
  if (job.watches.empty() || !job.worth_a_look()) return;
  for (const auto& watch : std::exchange(job.watches, {})) tell(watch);
}

namespace {

/// Above so many workers a membarrier interrupts too many cores for every park.
constexpr unsigned asymmetric_workers_max = 16;

/// About what a wake-up costs: two of them, measured at 7 to 25 us one way.
constexpr std::int64_t spin_ns = 50'000;

shm::Capacity capacity_for(const PoolOptions& options) {
  // Rings whose capacity is part of their type have only one.
  if (shm::TaskRing::shared_indices) return {};
  return shm::Capacity::for_concurrency(options.child_concurrency);
}

unsigned cores_of(const topology::Plan& plan) {
  topology::CpuSet all;
  for (const auto& worker : plan.workers) all = all | worker.cpus;
  return all.empty() ? 0 : all.count();
}

}  // namespace

State::State(PoolOptions pool_options, topology::Plan pool_plan, Ledger& pool_ledger)
    : options(std::move(pool_options)),
      plan(std::move(pool_plan)),
      workers(static_cast<unsigned>(plan.workers.size())),
      crowded(cores_of(plan) != 0 && workers > cores_of(plan)),
      spin_ns(pool::spin_ns),
      capacity(capacity_for(options)),
      arena(workers, capacity, options.arena_bytes),
      modules(arena.modules()),
      ledger(pool_ledger),
      fencing(workers <= asymmetric_workers_max && os::register_membarrier()
                  ? ring::Fencing::asymmetric
                  : ring::Fencing::symmetric),
      eventfd(os::make_eventfd()),
      bell(reinterpret_cast<std::atomic<std::uint32_t>*>(arena.bell_memory() +
                                                         shm::BellLayout::manager),
           eventfd.get(), fencing),
      idle_lanes(workers),
      open_lanes(workers),
      spin(spin_ns) {
  const shm::ManagerLayout& layout = arena.layout();
  for (unsigned i = 0; i < workers; ++i) {
    auto lane = std::make_unique<Lane>();
    lane->index = i;
    lane->results_begin = arena.worker_layout().results();
    lane->cpus = plan.workers[i].cpus;
    lane->numa_node = plan.workers[i].numa_node;
    if (lane->cpus.count() == 1) lane->only_cpu = static_cast<int>(lane->cpus.members().front());
    lane->fencing = fencing;
    lane->line = reinterpret_cast<ring::ManagerLine*>(arena.at(layout.line(i)));
    lane->line->collector_cpu.store(-1, std::memory_order_relaxed);
    lane->verdicts = reinterpret_cast<ring::Verdict*>(arena.at(layout.verdicts(i)));
    lane->eventfd = os::make_eventfd();
    lane->bell = ring::Bell(reinterpret_cast<std::atomic<std::uint32_t>*>(
                                arena.bell_memory() + arena.bell_layout().worker(i)),
                            lane->eventfd.get(), fencing);
    if constexpr (!shm::TaskRing::shared_indices) {
      lane->tasks = shm::TaskRing::Producer(arena.at(layout.task_ring(i)), capacity.ring_slots, 0);
    }
    lanes.push_back(std::move(lane));
  }
  to_ring.reserve(workers);
  lanes_here.reserve(workers);
}

void State::skip_lap([[maybe_unused]] Lane& lane) noexcept {
  if constexpr (!shm::TaskRing::shared_indices) {
    lane.tasks =
        shm::TaskRing::Producer(arena.at(arena.layout().task_ring(lane.index)), capacity.ring_slots,
                                lane.tasks.position() + capacity.ring_slots);
  }
}

void State::remake_rings([[maybe_unused]] Lane& lane) {
  if constexpr (shm::TaskRing::shared_indices) {
    // A dead worker may have left its index anywhere: both queues begin anew.
    lane.tasks =
        shm::TaskRing::Producer(arena.bell_memory() + arena.bell_layout().task_ring(lane.index),
                                capacity.ring_slots, lane.tasks.position());
    shm::ResultRing::Producer(result_ring_memory(lane.index), capacity.ring_slots,
                              lane.results.position());
  }
}

}  // namespace pinion::pool
