#include "lib/pool/time_limits.hpp"

#include <algorithm>
#include <csignal>

#include "lib/os/clock.hpp"
#include "lib/os/pidfd.hpp"
#include "lib/pool/side.hpp"

namespace pinion::pool {

namespace {

/// Limits of nothing must not keep the service thread busy.
constexpr std::int64_t look_again_ns = 100'000;

}  // namespace

std::int64_t TimeLimits::check(std::int64_t now_ns) {
  std::int64_t next = os::never_ns;
  for (const auto& lane : state_.lanes) {
    if (lane->timed == 0 || lane->state == Lane::State::none) continue;
    for (std::uint16_t i = 0; i < lane->flights.size(); ++i) {
      const Flight& flight = lane->flights[i];
      if (!flight.used() || flight.revoked || (flight.flags & ring::task_is_timed) == 0) continue;
      next = std::min(next, check(*lane, i, now_ns));
    }
  }
  return next;
}

std::int64_t TimeLimits::check(Lane& lane, std::uint16_t number, std::int64_t now_ns) {
  Flight& flight = lane.flights[number];
  const TaskOptions& options =
      flight.map != nullptr ? flight.map->options : flight.entry->side->options;
  const auto stamp = static_cast<std::int64_t>(
      lane.worker_flight(number).started_ns.load(std::memory_order_acquire));
  // A stamp from before its dispatch is another task's, one from the future is nonsense.
  const bool started = stamp >= flight.dispatched_ns && stamp <= now_ns;
  if (!started) return os::add_ns(now_ns, std::max(options.timeout.ns(), look_again_ns));
  const std::int64_t due = os::add_ns(stamp, options.timeout.ns());
  if (now_ns < due) return due;  // from then on the task sees for itself that it is to stop
  const std::int64_t kill_ns = os::add_ns(due, options.grace.ns());
  if (now_ns < kill_ns) return kill_ns;
  kill(lane, flight, stamp);
  return os::add_ns(now_ns, 1'000'000'000);
}

void TimeLimits::kill(Lane& lane, Flight& flight, std::int64_t stamp) {
  if (lane.state == Lane::State::killed) return;
  flight.overdue = true;
  flight.overdue_stamp = stamp;
  lane.culprit = flight.map != nullptr
                     ? "an item of the same worker that ran longer than its timeout"
                     : "a task of the same worker that ran longer than its timeout";
  state_.idle_lanes.set(lane.index, false);
  state_.open_lanes.set(lane.index, false);
  lane.kill();
}

}  // namespace pinion::pool
