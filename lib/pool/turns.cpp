#include "lib/pool/turns.hpp"

#include <poll.h>
#include <sched.h>
#include <unistd.h>
#include <pinion/errors.hpp>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include "lib/os/eventfd.hpp"

namespace pinion::pool {

namespace {

constexpr const char* waits_in_place =
    "a task waits for something of its own pool, whose start method is serial: it would wait for "
    "ever, since nothing else runs until it returns";

}  // namespace

/// Tells the workers where results are collected: the one on that core gives way.
void Turns::note_core() noexcept {
  const int cpu = os::current_cpu();
  if (cpu == state_.collector_cpu) return;
  state_.collector_cpu = cpu;
  state_.lanes_here.clear();
  for (const auto& lane : state_.lanes) {
    lane->line->collector_cpu.store(cpu, std::memory_order_relaxed);
    if (lane->only_cpu == cpu) state_.lanes_here.push_back(lane.get());
  }
}

bool Turns::relax(std::int64_t& idle_since_ns, unsigned& rounds) noexcept {
  if (state_.options.idle == Idle::sleep) return false;
  const bool shared = state_.crowded || state_.shares_busy_core();
  if (shared) {
    ::sched_yield();
  } else {
    if (++rounds < os::eager_rounds) return true;
    os::pause();
    if (rounds % 32 != 0) return true;
  }
  const std::int64_t now = os::now_ns();
  if (idle_since_ns == 0) idle_since_ns = now;
  return now - idle_since_ns < state_.spin.ns();
}

template <class Reached>
void Turns::park(Reached&& reached, std::int64_t deadline_ns) {
  bool soon = false;
  {
    Locked lock(state_);
    soon = takeback_.balance();
  }
  const std::uint32_t parked = state_.bell.park(ring::Bell::on_futex);
  if (reached() || state_.any_results() || state_.baton.urgently_wanted()) {
    state_.bell.leave(parked);
    return;
  }
  const std::int64_t limit = os::add_ns(os::now_ns(), soon ? balance_ns : backstop_ns);
  state_.bell.sleep(parked, std::min(deadline_ns, limit));
  bool suspected = false;
  if (!soon && !state_.bell.rung(parked) && os::now_ns() >= limit && state_.any_results()) {
    suspected = true;
    state_.bell.sleep(parked, os::add_ns(os::now_ns(), suspicion_ns));
  }
  if (state_.bell.leave(parked) && suspected) state_.note_late_wakeup();
}

/// After a backstop: counts a wake-up that has not come although `lies_there`.
template <class LiesThere>
void Turns::judge(const Baton::Waiter& waiter, LiesThere&& lies_there) noexcept {
  const auto suspected = [&] {
    return waiter.word.load(std::memory_order_acquire) == Baton::Waiter::waiting && lies_there();
  };
  if (!suspected()) return;
  Baton::sleep(waiter, os::add_ns(os::now_ns(), suspicion_ns));
  if (suspected()) state_.note_late_wakeup();
}

template <class Reached>
Turns::Turn Turns::collect_until(Reached&& reached, std::int64_t deadline_ns) {
  if (reached()) return Turn::reached;  // then the pool, and what it shares, may be gone
  note_core();
  state_.note_collecting();
  std::int64_t idle_since_ns = 0;
  unsigned rounds = 0;
  for (;;) {
    if (reached()) return Turn::reached;
    if (state_.baton.urgently_wanted()) return Turn::handed_on;
    if (collector_.collect()) {
      take_back_due();
      idle_since_ns = 0;
      rounds = 0;
      continue;
    }
    if (deadline_ns != os::never_ns && os::now_ns() >= deadline_ns) return Turn::timed_out;
    if (relax(idle_since_ns, rounds)) continue;
    park(reached, deadline_ns);
    note_core();
    if (idle_since_ns != 0) state_.spin.waited(os::now_ns() - idle_since_ns);
    idle_since_ns = 0;
    rounds = 0;
  }
}

void Turns::leave(bool back_soon) noexcept {
  state_.baton.leave();
  if (state_.nobody_looks(back_soon)) state_.tell_service_once();
}

void Turns::require_other_workers() const {
  if (state_.serial && state_.in_place.inside()) throw std::logic_error(waits_in_place);
  if (state_.local && !state_.serial) refuse_own_workers();
}

bool Turns::take_in_loop() noexcept {
  bool own = state_.baton.try_take(Baton::Holder::caller);
  if (!own && state_.baton.holder() == Baton::Holder::service) {
    Baton::Waiter waiter;
    state_.baton.enlist(waiter);
    while (!own && state_.baton.holder() == Baton::Holder::service) {
      state_.bell.ring(true);
      Baton::sleep(waiter, os::add_ns(os::now_ns(), handing_over_ns));
      own = waiter.word.load(std::memory_order_acquire) == Baton::Waiter::handed;
    }
    own = state_.baton.delist(waiter);
    own = own || state_.baton.try_take(Baton::Holder::caller);
  }
  return own;
}

void Turns::begin_in_loop() noexcept {
  note_core();
  state_.note_collecting();
}

bool Turns::collect_in_loop() {
  if (!collector_.collect()) return false;
  take_back_due();
  return true;
}

std::optional<Turns::Parked> Turns::park_in_loop() {
  Parked parked{};
  {
    const Locked lock(state_);
    parked.soon = takeback_.balance();
  }
  parked.word = state_.bell.park(ring::Bell::in_loop);
  if (state_.any_results() || state_.baton.urgently_wanted()) {
    state_.bell.leave(parked.word);
    return std::nullopt;
  }
  parked.until_ns = os::add_ns(os::now_ns(), parked.soon ? balance_ns : backstop_ns);
  return parked;
}

void Turns::unpark(const Parked& parked, std::int64_t idle_since_ns) noexcept {
  const std::int64_t now = os::now_ns();
  bool suspected = false;
  if (!parked.soon && !state_.bell.rung(parked.word) && now >= parked.until_ns &&
      state_.any_results()) {
    suspected = true;
    pollfd rung{state_.bell_eventfd.get(), POLLIN, 0};
    ::poll(&rung, 1, static_cast<int>(suspicion_ns / 1'000'000));
  }
  if (state_.bell.leave(parked.word) && suspected) state_.note_late_wakeup();
  os::drain_eventfd(state_.bell_eventfd.get());
  note_core();
  if (idle_since_ns != 0) state_.spin.waited(now - idle_since_ns);
}

template <class Reached>
Turns::Turn Turns::collect_as_owner(Reached&& reached, std::int64_t deadline_ns, bool back_soon) {
  const Held held(*this, back_soon);
  return collect_until(reached, deadline_ns);
}

template <class Announce, class Reached>
bool Turns::wait(const void* subject, Announce&& announce, Reached&& reached,
                 std::int64_t deadline_ns, bool back_soon) {
  if (!state_.guard.same_process()) {
    throw PoolClosed("a pool belongs to the process that made it, and this is a forked child");
  }
  if (state_.local) refuse_own_workers();
  Baton::Waiter waiter;
  waiter.subject = subject;
  for (;;) {
    if (state_.baton.try_take(Baton::Holder::caller)) {
      const Turn turn = collect_as_owner(reached, deadline_ns, back_soon);
      if (turn != Turn::handed_on) return turn == Turn::reached;
    }
    state_.baton.enlist(waiter);
    announce();
    if (state_.baton.holder() == Baton::Holder::service) state_.bell.ring(true);
    bool own = false;
    while (!own && !reached()) {
      if (state_.baton.try_take(Baton::Holder::caller)) {
        own = true;
        break;
      }
      const std::int64_t now = os::now_ns();
      if (now >= deadline_ns) break;
      const std::int64_t limit = os::add_ns(now, backstop_ns);
      Baton::sleep(waiter, std::min(deadline_ns, limit));
      if (os::now_ns() >= limit) judge(waiter, [&] { return reached() || baton_lies_free(); });
      if (waiter.word.load(std::memory_order_acquire) != Baton::Waiter::waiting) break;
    }
    own |= state_.baton.delist(waiter);
    if (own) {
      const Turn turn = collect_as_owner(reached, deadline_ns, back_soon);
      if (turn != Turn::handed_on) return turn == Turn::reached;
    } else if (reached()) {
      return true;
    } else if (os::now_ns() >= deadline_ns) {
      return false;
    }
  }
}

/// Where all workers waited so, none would be left to do what they wait for.
void Turns::refuse_own_workers() const {
  const pid_t self = ::gettid();
  const Locked lock(state_);
  for (const auto& lane : state_.lanes) {
    if (lane->local == nullptr || lane->local->id() != self) continue;
    throw std::logic_error(
        "a task waits for something of its own pool, whose workers are threads: if all did, they "
        "would wait for ever. Submit it and return, or wait for it in another pool");
  }
}

bool Turns::run_workers_here() {
  std::vector<std::shared_ptr<start::LocalWorker>> workers;
  {
    const Locked lock(state_);
    for (const auto& lane : state_.lanes) {
      if (lane->local != nullptr) workers.push_back(lane->local);
    }
  }
  bool ran = false;
  for (const auto& worker : workers) ran |= worker->run_here();
  return ran;
}

/// Something waits, and a worker that was replaced could run it.
bool Turns::awaits_successor() const {
  const std::lock_guard lock(state_.mutex);
  if (state_.stopped() || (state_.backlog.empty() && !state_.anything_bound())) return false;
  return std::any_of(state_.lanes.begin(), state_.lanes.end(),
                     [](const auto& lane) { return !lane->takes_tasks(); });
}

bool Turns::run_in_place(std::int64_t deadline_ns) {
  if (state_.in_place.inside()) return false;
  const InPlace::Turn turn(state_.in_place, deadline_ns);
  bool any = false;
  while (turn) {
    bool worked = run_workers_here();
    if (!turn) return true;  // it took too long: others have gone on
    {
      const Held held = take_urgently();
      worked |= collector_.collect();
      take_back_due();
      const Locked lock(state_);
      takeback_.balance();  // control messages that wait for slots
    }
    if (worked) {
      any = true;
      continue;
    }
    if (!awaits_successor() || os::now_ns() >= deadline_ns) break;
    ::poll(nullptr, 0, 1);  // the service thread is about to make it
  }
  return any;
}

/// Runs what there is to run. What another thread runs is looked at once a millisecond: this start
/// method is for finding faults.
template <class Reached>
bool Turns::wait_in_place(Reached&& reached, std::int64_t deadline_ns) {
  constexpr std::int64_t look_ns = 1'000'000;
  if (!state_.guard.same_process()) {
    throw PoolClosed("a pool belongs to the process that made it, and this is a forked child");
  }
  for (;;) {
    if (reached()) return true;
    if (state_.in_place.inside()) throw std::logic_error(waits_in_place);
    const std::int64_t look = std::min(deadline_ns, os::add_ns(os::now_ns(), look_ns));
    if (run_in_place(look)) continue;
    poll();
    if (reached()) return true;
    if (os::now_ns() >= deadline_ns) return false;
    if (os::now_ns() < look) ::poll(nullptr, 0, 1);
  }
}

bool Turns::wait_for(LedgerEntry& entry, std::int64_t deadline_ns) {
  if (entry.done()) return true;
  if (state_.serial) return wait_in_place([&] { return entry.done(); }, deadline_ns);
  return wait(
      &entry, [&] { detail::set_waited(entry.state); }, [&] { return entry.done(); }, deadline_ns);
}

bool Turns::wait_for_fewer(std::uint64_t limit, bool or_refusing, std::int64_t deadline_ns) {
  const auto reached = [&] {
    return state_.pending.load(std::memory_order_relaxed) < limit ||
           (or_refusing && state_.refusing.load(std::memory_order_relaxed));
  };
  if (state_.serial) return wait_in_place(reached, deadline_ns);
  return wait(
      &state_.pending,
      [&] {  // with the lock, so that the one who counts down sees it, or we see what it counted
        const std::lock_guard lock(state_.mutex);
        state_.room_wanted.store(true, std::memory_order_relaxed);
      },
      reached, deadline_ns);
}

bool Turns::wait_for_room(std::int64_t deadline_ns) {
  return wait_for_fewer(state_.options.max_pending, true, deadline_ns);
}

bool Turns::wait_until(const void* subject, const std::function<bool()>& reached,
                       std::int64_t deadline_ns) {
  if (state_.serial) return wait_in_place(reached, deadline_ns);
  return wait(
      subject, [] {}, reached, deadline_ns);
}

void Turns::wait_for_callbacks(const std::function<bool()>& reached) {
  wait(
      &state_.callbacks, [] {}, reached, os::never_ns, true);
}

bool Turns::wait_for_drain(std::int64_t deadline_ns) {
  return wait_for_fewer(1, false, deadline_ns);
}

void Turns::poll() {
  if (!state_.guard.same_process()) return;
  if (!state_.baton.try_take(Baton::Holder::caller)) return;
  const Held held(*this);
  state_.note_collecting();
  collector_.collect();
  take_back_due();
}

void Turns::take_back_due() {
  if (!state_.take_back_due.load(std::memory_order_relaxed)) [[likely]]
    return;
  const Locked lock(state_);
  takeback_.take_back_due();
}

void Turns::become_owner() noexcept {
  if (state_.baton.try_take(Baton::Holder::caller)) return;
  Baton::Waiter waiter;
  waiter.urgent = true;
  state_.baton.enlist(waiter);
  for (;;) {
    state_.bell.ring(true);
    const bool own = state_.baton.try_take(Baton::Holder::caller);
    if (!own) {
      const std::int64_t limit = os::add_ns(os::now_ns(), ask_again_ns);
      Baton::sleep(waiter, limit);
      if (os::now_ns() >= limit) judge(waiter, [&] { return baton_lies_free(); });
    }
    if (own || waiter.word.load(std::memory_order_acquire) == Baton::Waiter::handed) {
      state_.baton.delist(waiter);
      return;
    }
  }
}

}  // namespace pinion::pool
