#include "lib/pool/state.hpp"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

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
  watch.watcher->ended(watch.tag);
  baton.tell(watch.watcher);
}

void State::tell_consumers(StreamJob& job) noexcept {
  baton.tell(static_cast<detail::MapJob*>(&job));
  if (job.watches.empty() || !job.worth_a_look()) return;
  for (const auto& watch : std::exchange(job.watches, {})) tell(watch);
}

void delete_sides(detail::Side* sides) noexcept {
  while (sides != nullptr) delete std::exchange(sides, sides->next_dead);
}

namespace {

/// Above so many workers a membarrier interrupts too many cores for every park.
constexpr unsigned asymmetric_workers_max = 16;

/// Threads that may be abandoned at a time: each keeps its memory until it has ended.
constexpr unsigned abandoned_threads_max = 32;

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
      serial(options.start_method == StartMethod::serial),
      local(serial || options.start_method == StartMethod::thread),
      capacity(capacity_for(options)),
      arena({workers, local ? workers + abandoned_threads_max : workers, capacity, local},
            options.arena_bytes),
      modules(arena.modules()),
      ledger(pool_ledger),
      fencing(workers <= asymmetric_workers_max && os::register_membarrier()
                  ? ring::Fencing::asymmetric
                  : ring::Fencing::symmetric),
      eventfd(os::make_eventfd()),
      bell_eventfd(os::make_eventfd()),
      bell(reinterpret_cast<std::atomic<std::uint32_t>*>(arena.bell_memory() +
                                                         shm::BellLayout::manager),
           bell_eventfd.get(), fencing),
      idle_lanes(workers),
      open_lanes(workers),
      spin(spin_ns) {
  seats.resize(arena.layout().workers);
  for (unsigned i = 0; i < workers; ++i) {
    auto lane = std::make_unique<Lane>();
    lane->index = i;
    lane->results_begin = arena.worker_layout().results();
    lane->cpus = plan.workers[i].cpus;
    lane->numa_node = plan.workers[i].numa_node;
    if (lane->cpus.count() == 1) lane->only_cpu = static_cast<int>(lane->cpus.members().front());
    lane->fencing = fencing;
    take_seat(*lane);
    lanes.push_back(std::move(lane));
  }
  to_ring.reserve(workers);
  lanes_here.reserve(workers);
}

void State::take_seat(Lane& lane) {
  const auto free =
      std::find_if(seats.begin(), seats.end(), [](const Seat& s) { return !s.taken; });
  if (free == seats.end()) {
    throw ResourceError("abandoned threads", std::to_string(seats.size() - workers) + " run",
                        "let tasks end when this_task::stop_requested() says so, or use a start "
                        "method whose workers can be killed");
  }
  lane.eventfd = os::make_eventfd();  // the one before may still ring for the one before
  lane.seat = static_cast<unsigned>(free - seats.begin());
  free->taken = true;
  const shm::ManagerLayout& layout = arena.layout();
  lane.line = new (arena.at(layout.line(lane.seat))) ring::ManagerLine{};
  lane.line->collector_cpu.store(collector_cpu, std::memory_order_relaxed);
  lane.verdicts = reinterpret_cast<ring::Verdict*>(arena.at(layout.verdicts(lane.seat)));
  for (std::uint32_t i = 0; i < capacity.flights; ++i) new (&lane.verdicts[i]) ring::Verdict{};
  auto* const word = new (arena.bell_memory() + arena.bell_layout().worker(lane.seat))
      std::atomic<std::uint32_t>(0);
  lane.bell = ring::Bell(word, lane.eventfd.get(), fencing);
  if constexpr (!shm::TaskRing::shared_indices) {
    // Beyond what lies there: a position is a message's for ever.
    const std::uint64_t position = std::max(lane.tasks.position(), free->position);
    lane.tasks = shm::TaskRing::Producer(arena.at(layout.task_ring(lane.seat)), capacity.ring_slots,
                                         position);
  }
}

void State::skip_lap([[maybe_unused]] Lane& lane) noexcept {
  if constexpr (!shm::TaskRing::shared_indices) {
    lane.tasks =
        shm::TaskRing::Producer(arena.at(arena.layout().task_ring(lane.seat)), capacity.ring_slots,
                                lane.tasks.position() + capacity.ring_slots);
  }
}

void State::remake_rings([[maybe_unused]] Lane& lane) {
  if constexpr (shm::TaskRing::shared_indices) {
    // A dead worker may have left its index anywhere: both queues begin anew.
    lane.tasks =
        shm::TaskRing::Producer(arena.bell_memory() + arena.bell_layout().task_ring(lane.seat),
                                capacity.ring_slots, lane.tasks.position());
    shm::ResultRing::Producer(result_ring_memory(lane), capacity.ring_slots,
                              lane.results.position());
  }
}

}  // namespace pinion::pool
