#include "lib/pool/fleet.hpp"

#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <utility>

#include "lib/os/clock.hpp"
#include "lib/os/memory_cgroup.hpp"
#include "lib/os/pidfd.hpp"
#include "lib/pool/remote_exception.hpp"
#include "lib/start/anew.hpp"
#include "lib/start/guest_worker.hpp"
#include "lib/start/nursery.hpp"
#include "lib/start/worker_thread.hpp"
#include "lib/topology/numa_memory.hpp"

namespace pinion::pool {

namespace {

constexpr const char* nursery_lost_text =
    "the nursery had died, so that workers could not be replaced, and the last worker has died";

std::string text_of(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown error";
  }
}

std::string describe(ExitStatus status) {
  switch (status.kind) {
    case ExitStatus::Kind::exited:
      return "it ended with exit code " + std::to_string(status.value);
    case ExitStatus::Kind::signaled:
      return "it was killed by signal " + std::to_string(status.value);
    default:
      return "it ended, and the program has taken its exit status";
  }
}

}  // namespace

void Fleet::start(const start::WorkerCode& code) {
  switch (state_.options.start_method) {
    case StartMethod::spawn:
      maker_ = std::make_unique<start::Spawner>();
      break;
    case StartMethod::forkserver:
      maker_ = std::make_unique<start::Nursery>();
      break;
    case StartMethod::thread:
      maker_ = std::make_unique<start::ThreadMaker>(code.thread, code.signals);
      break;
    case StartMethod::serial:
      maker_ = std::make_unique<start::GuestWorkerMaker>(code.guest);
      break;
    default:
      maker_ = std::make_unique<start::Nursery>(code.process);
      break;
  }
  for (const auto& lane : state_.lanes) give_birth(*lane);
}

start::Birth Fleet::order_for(const Lane& lane) const {
  start::Birth birth;
  birth.pool = state_.arena.pool();
  birth.manager = ::getpid();
  birth.worker = lane.index;
  birth.generation = lane.generation;
  birth.seat = lane.seat;
  birth.seats = state_.arena.layout().workers;
  birth.task_position = lane.birth_position;
  birth.result_position = lane.results.position();
  birth.ring_slots = state_.capacity.ring_slots;
  birth.flights = state_.capacity.flights;
  birth.child_concurrency = state_.options.child_concurrency;
  birth.idle = static_cast<std::uint8_t>(state_.options.idle);
  birth.io = static_cast<std::uint8_t>(state_.options.io);
  birth.crowded = state_.crowded ? 1 : 0;
  birth.asymmetric = lane.fencing == ring::Fencing::asymmetric ? 1 : 0;
  birth.numa_node = lane.numa_node;
  birth.spin_ns = state_.spin_ns;
  birth.stall_ns = state_.options.stall_limit.ns();
  birth.initializer = state_.initializer;
  birth.finalizer = state_.finalizer;
  birth.exception_handler = state_.exception_handler;
  birth.max_rss = state_.options.max_rss_per_child;
  const shm::ArrayMemory& arrays = state_.arena.arrays()->memory();
  birth.array_memory = reinterpret_cast<std::uintptr_t>(arrays.begin());
  birth.array_memory_bytes = arrays.size();
  birth.forked = state_.options.start_method == StartMethod::fork ? 1 : 0;
  static_assert(start::cpus_max >= topology::CpuSet::cpu_limit, "or a worker would not be bound");
  birth.bound = lane.cpus.empty() ? 0 : 1;
  std::copy(lane.cpus.words().begin(), lane.cpus.words().end(), birth.cpus);
  return birth;
}

void Fleet::give_birth(Lane& lane) {
  const bool reused = ring::built_mutant == ring::Mutant::segment_reused && lane.segment;
  auto made =
      reused ? WorkerSegment{lane.segment, {}}
             : state_.arena.make_worker_segment(lane.index, lane.generation + 1, lane.numa_node);
  const int memory_node = topology::node_of_memory(made.segment->begin());
  start::Birth birth;
  {
    const Turns::Held held = turns_.take_urgently();  // the collector looks at the lane unlocked
    const Locked lock(state_);
    if (state_.local && lane.abandoned) state_.take_seat(lane);
    state_.arena.arrays()->heed(lane.index, made.segment,
                                state_.arena.worker_layout().array_marks());
    state_.arena.adopt(*made.segment);
    lane.segment = std::move(made.segment);
    lane.memory_node = memory_node;
    lane.memory_reason = std::move(made.memory.reason);
    ++lane.generation;
    lane.reset_flights(state_.capacity.flights);
    if (state_.options.max_tasks_per_child != 0) lane.quota = state_.options.max_tasks_per_child;
    lane.birth_position = lane.tasks.position();
    const std::uint64_t results = lane.results.position();
    constexpr bool shared = shm::ResultRing::shared_indices;
    if constexpr (shared) state_.remake_rings(lane);
    lane.results = shm::ResultRing::Consumer(
        shared ? state_.result_ring_memory(lane)
               : lane.segment->begin() + state_.arena.worker_layout().result_ring(),
        state_.capacity.ring_slots, results);
    lane.line->drained.store(results, std::memory_order_relaxed);
    lane.line->granted.store(lane.segment->committed(), std::memory_order_relaxed);
    lane.oom_kills = os::oom_kills().value_or(0);
    lane.respawn_ns = 0;
    birth = order_for(lane);
  }
  start::BirthFds fds{};
  fds.fd[start::manager_segment_fd] = state_.arena.manager_fd();
  fds.fd[start::worker_segment_fd] = lane.segment->fd();
  fds.fd[start::bell_segment_fd] = state_.arena.bells_fd();
  fds.fd[start::array_memory_fd] = state_.arena.arrays()->memory().fd();
  fds.fd[start::manager_eventfd] = state_.eventfd.get();
  fds.fd[start::bell_eventfd] = state_.bell_eventfd.get();
  fds.fd[start::worker_eventfd] = lane.eventfd.get();
  const start::BirthMemory memory{state_.arena.manager(), lane.segment, state_.arena.bells(),
                                  state_.arena.arrays()};
  fds.memory = &memory;
  start::Newborn born;
  try {
    born = maker_->make(birth, fds, os::deadline_ns(nursery_answer_ns));
  } catch (...) {
    abandon_birth(lane);
    throw;
  }
  nursery_deaths_ = 0;
  // Not before: a worker that may have to be given up must not be ready, and given tasks.
  const Turns::Held held = turns_.take_urgently();
  const Locked lock(state_);
  lane.pid = born.pid;
  lane.pidfd = std::move(born.pidfd);
  lane.local = std::move(born.local);
  // One that callers run is ready once there is a caller.
  const bool limited = state_.options.start_limit.limited() && !(state_.serial && state_.started);
  lane.start_deadline_ns =
      os::deadline_ns(limited ? state_.options.start_limit.ns() : os::never_ns);
  lane.state = Lane::State::starting;
  if (state_.stopped()) lane.kill();
}

void Fleet::abandon_birth(Lane& lane) {
  const Turns::Held held = turns_.take_urgently();
  const Locked lock(state_);
  state_.arena.forget(*lane.segment);
  state_.arena.arrays()->forget(lane.index);
  lane.segment.reset();
  state_.skip_lap(lane);
}

void Fleet::on_death(Lane& lane) {
  const auto reaped = lane.reap();
  if (!reaped) return;  // it still runs
  {
    const Turns::Held held = turns_.take_urgently();
    const Locked lock(state_);
    lane.initializing = lane.in_initializer();
    if (*reaped == ExitStatus::signaled(SIGKILL)) note_oom_kills(lane);
    // What it said last is still in its ring.
    burial_.bury(lane, *reaped);
    after_death(lane, *reaped);
  }
  state_.arena.arrays()->sweep();  // arrays that it alone had
}

/// A SIGKILL that pinion did not send: the cgroup's counter tells whether memory was short.
void Fleet::note_oom_kills(Lane& lane) {
  if (lane.state == Lane::State::killed) return;
  const auto kills = os::oom_kills();
  if (!kills || *kills == lane.oom_kills) return;
  lane.oom_text = "The kernel's OOM killer has struck in this cgroup since the worker was made (" +
                  std::to_string(*kills - lane.oom_kills) +
                  " times): fewer processes or smaller tasks need less memory, or raise the "
                  "cgroup's limit.";
}

std::string Fleet::late_text(const Lane& lane, bool initializing) const {
  return "worker " + std::to_string(lane.index) +
         " was not ready within PoolOptions::start_limit (" +
         std::to_string(state_.options.start_limit.ns() / 1'000'000) + " ms)" +
         (initializing ? ": its initializer still ran" : "");
}

std::string Fleet::first_failure(const Lane& lane, ExitStatus status) const {
  const std::string worker = "worker " + std::to_string(lane.index);
  if (lane.start_failed) {
    return (lane.initializing ? "the initializer failed in " + worker
                              : worker + " could not start") +
           ": " + text_of(decode_exception(lane.start_error));
  }
  if (lane.late) return late_text(lane, lane.initializing);
  return worker + " died" + (lane.initializing ? " in its initializer," : "") +
         " before it was ready: " +
         (!lane.abandoned ? describe(status)
          : state_.local  ? "it did not end when it was told to"
                          : "it did not end within 1 s of SIGKILL") +
         (lane.oom_text.empty() ? "" : ". " + lane.oom_text);
}

/// With the lock and the baton.
void Fleet::after_death(Lane& lane, ExitStatus status) {
  const bool expected = state_.stopped() || state_.leaving;
  const bool was_ready = lane.was_ready;
  lane.pid = 0;
  if (was_ready && state_.ready_workers > 0) --state_.ready_workers;
  if (expected) return;
  if (lane.retired && status == ExitStatus::exited(0)) {
    ++state_.counters.recycled;
    if (!nursery_dead_) {
      lane.respawn_ns = os::now_ns();
      return;
    }
  } else {
    ++state_.counters.deaths;
  }
  if (!was_ready) {
    ++state_.deaths_before_ready;
    if (!state_.started) {  // the first start: it ends the construction
      if (state_.start_error.empty()) state_.start_error = first_failure(lane, status);
      return;
    }
  }
  if (state_.one_life) {
    const bool waits = state_.accepting() || state_.pending.load() != 0;
    if (waits && gone()) fail("its only process has ended: " + describe(status));
    return;
  }
  const std::int64_t now = os::now_ns();
  if (state_.ready_workers != 0) {
    no_worker_since_ns_ = 0;
  } else if (was_ready || no_worker_since_ns_ == 0) {
    no_worker_since_ns_ = now;
  }
  if (hopeless(now)) {
    fail("no worker comes up any more; the last one: " + first_failure(lane, status));
    return;
  }
  if (nursery_dead_) {
    const bool any = std::any_of(state_.lanes.begin(), state_.lanes.end(),
                                 [](const auto& l) { return l->alive(); });
    if (!any) fail(nursery_lost_text);
    return;
  }
  const std::uint64_t items = state_.counters.completed + state_.counters.failed;
  const bool progress = was_ready && items != items_at_last_death_;
  items_at_last_death_ = items;
  pause_ns_ = progress ? 0 : std::clamp(pause_ns_ * 2, pause_first_ns, pause_max_ns);
  lane.respawn_ns = now + (was_ready && progress ? 0 : pause_ns_);
}

/// Too many in a row did not come up, and nobody has been ready for too long.
bool Fleet::hopeless(std::int64_t now_ns) const noexcept {
  return state_.deaths_before_ready > std::max(3U, state_.workers) && no_worker_since_ns_ != 0 &&
         now_ns - no_worker_since_ns_ > no_worker_ns_max;
}

void Fleet::on_nursery_death() {
  maker_->end();
  ++nursery_deaths_;
  if (state_.options.start_method == StartMethod::forkserver &&
      nursery_deaths_ <= nursery_deaths_max) {
    try {
      maker_ = std::make_unique<start::Nursery>();
      return;
    } catch (const std::exception&) {  // the system is short of something: the pool goes on without
    }
  }
  nursery_dead_ = true;
  const Locked lock(state_);
  state_.counters.nursery_lost = true;
  state_.no_successors = true;
  for (const auto& lane : state_.lanes) lane->respawn_ns = 0;
  if (state_.started && !state_.leaving && gone()) fail(nursery_lost_text);
  dispatcher_.feed_if_possible();
}

void Fleet::respawn(std::int64_t now_ns) {
  for (const auto& lane : state_.lanes) {
    if (lane->alive() || lane->respawn_ns == 0 || lane->respawn_ns > now_ns) continue;
    if (state_.stopped() || nursery_dead_) continue;
    lane->respawn_ns = 0;
    try {
      give_birth(*lane);
    } catch (const std::exception& e) {  // memory, processes or descriptors are short: later
      pause_ns_ = std::clamp(pause_ns_ * 2, pause_first_ns, pause_max_ns);
      const std::int64_t now = os::now_ns();
      lane->respawn_ns = now + pause_ns_;
      const Locked lock(state_);
      ++state_.deaths_before_ready;
      if (hopeless(now)) {
        fail("no worker comes up any more; worker " + std::to_string(lane->index) +
             " could not be made: " + e.what());
      }
    }
  }
}

std::int64_t Fleet::next_event_ns() const noexcept {
  std::int64_t next = os::never_ns;
  for (const auto& lane : state_.lanes) {
    if (!lane->alive() && lane->respawn_ns != 0) next = std::min(next, lane->respawn_ns);
    if (lane->state == Lane::State::starting || lane->state == Lane::State::leaving) {
      next = std::min(next, lane->start_deadline_ns);
    }
    if (lane->alive() && lane->killed_ns != 0 && lane->pidfd)
      next = std::min(next, lane->give_up_ns);
  }
  return next;
}

void Fleet::check_starts(std::int64_t now_ns) {
  const Locked lock(state_);
  for (const auto& lane : state_.lanes) {
    if (lane->start_deadline_ns > now_ns) continue;
    if (lane->state == Lane::State::leaving) {  // its finalizer does not end
      lane->start_deadline_ns = os::never_ns;
      lane->kill();
    }
    if (lane->state != Lane::State::starting) continue;
    lane->start_deadline_ns = os::never_ns;
    lane->late = true;
    if (!state_.started && state_.start_error.empty()) {
      state_.start_error = late_text(*lane, lane->in_initializer());
    }
    lane->kill();
  }
}

void Fleet::let_go() {
  const Locked lock(state_);
  if (state_.phase != State::Phase::closed || state_.pending.load() != 0) return;
  if (state_.open_streams != 0) return;
  state_.leaving = true;
  for (const auto& lane : state_.lanes) {
    if (lane->state == Lane::State::starting) {  // it would have nothing to do
      lane->kill();
    }
    if (lane->state != Lane::State::ready) continue;
    dispatcher_.let_go(*lane);
  }
}

void Fleet::end_nursery() noexcept {
  maker_.reset();
  // On a busy machine a process may just not have had the time to die.
  const std::int64_t deadline = os::deadline_ns(abandon_ns);
  bool all = true;
  for (const Abandoned& left : abandoned_) {
    if (left.local != nullptr) {
      if (!left.reap()) left.local->let_go();
    } else {
      all &= os::wait_for_exit(left.pidfd.get(), deadline) && left.reap();
    }
  }
  if (all && !state_.local) start::Nursery::reap_lost();
}

bool Fleet::gone() const noexcept {
  return std::none_of(state_.lanes.begin(), state_.lanes.end(),
                      [](const auto& lane) { return lane->alive(); });
}

void Fleet::kill_all(State& state) noexcept {
  for (const auto& lane : state.lanes) {
    if (!lane->alive()) continue;
    lane->kill();
  }
}

void Fleet::fail(std::string cause) {
  if (state_.stopped()) return;
  state_.phase = State::Phase::failed;
  state_.failure = std::move(cause);
  state_.refuse();
  state_.must_stop = true;
  state_.must_tell_service = true;
}

}  // namespace pinion::pool
