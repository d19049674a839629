#include "lib/pool/verify.hpp"

#include <set>

#include "lib/pool/core.hpp"
#include "lib/pool/side.hpp"

namespace pinion::pool {

namespace {

class Verifier {
 public:
  explicit Verifier(const State& state) : state_(state) {}

  std::vector<std::string> run() {
    const PoolStats& n = state_.counters;
    const std::uint64_t pending = state_.pending.load(std::memory_order_relaxed);
    expect(n.accepted == n.completed + n.failed + pending,
           std::to_string(n.accepted) + " items were accepted, but " + std::to_string(n.completed) +
               " completed, " + std::to_string(n.failed) + " failed and " +
               std::to_string(pending) + " are pending");
    check_generations();
    std::uint64_t live = 0;
    for (const auto& lane : state_.lanes) live += check(*lane);
    if (pending == 0) {
      expect(live == 0, "nothing is pending, but " + std::to_string(live) + " tasks are under way");
      for (const auto& map : state_.maps) {
        expect(map->job->open, "nothing is pending, but a map is");
      }
      expect(state_.backlog.empty() && !state_.anything_bound(),
             "nothing is pending, but something waits for a worker");
      check_arguments();
    }
    return std::move(broken_);
  }

 private:
  void expect(bool holds, std::string text) {
    if (!holds) broken_.push_back(std::move(text));
  }

  /// Returns how many tasks the worker has that somebody waits for.
  std::uint64_t check(const Lane& lane) {
    const std::string name = "worker " + std::to_string(lane.index);
    if (!lane.alive()) {
      expect(lane.in_flight() == 0, name + " is dead and has tasks under way");
      return 0;
    }
    std::uint64_t used = 0;
    std::uint64_t live = 0;
    std::uint64_t timed = 0;
    std::set<std::uint64_t> positions;
    for (const Flight& flight : lane.flights) {
      if (!flight.used()) continue;
      ++used;
      if (flight.entry != nullptr || flight.map != nullptr) ++live;
      if ((flight.flags & ring::task_is_timed) != 0) ++timed;
      expect(positions.insert(flight.position).second, name + " has two tasks at one position");
      expect(flight.position >= lane.birth_position && flight.position < lane.tasks.position(),
             name + " has a task at a position that it was not given");
    }
    expect(used == lane.in_flight(), name + " has " + std::to_string(used) +
                                         " flights in use, but counts " +
                                         std::to_string(lane.in_flight()));
    expect(used + lane.free_flights.size() == lane.flights.size(), name + " has lost a credit");
    expect(timed == lane.timed, name + " miscounts its timed tasks");
    expect(used + lane.controls.size() <= state_.capacity.ring_slots,
           name + " was given more than its ring holds");
    return live;
  }

  /// A worker's index has one generation a birth, and what is kept in its memory is of the last
  /// one.
  void check_generations() {
    std::uint64_t births = 0;
    std::uint64_t successors = 0;
    for (const auto& lane : state_.lanes) {
      births += lane->generation;
      successors += lane->generation > 1 ? lane->generation - 1 : 0;
      for (const LedgerEntry* entry : lane->kept) {
        const detail::Side* const side = entry->side;
        expect(side != nullptr && side->worker == lane->index &&
                   side->generation == lane->generation && side->segment == lane->segment,
               "a result is counted to another worker or generation than it lies in");
      }
    }
    expect(state_.counters.respawns <= successors, "more successors are ready than were born");
    expect(state_.counters.deaths <= births, "more workers have died than were born");
  }

  /// Nothing is pending: what tasks that were taken back still hold, and the options' calls.
  void check_arguments() {
    std::uint64_t held = state_.held_arguments;
    for (const start::KeptCall* call :
         {&state_.initializer, &state_.finalizer, &state_.exception_handler}) {
      if (call->present) held += shm::Space::rounded(call->bytes);
    }
    for (const auto& lane : state_.lanes) {
      if (!lane->alive()) continue;
      for (const Flight& flight : lane->flights) {
        const bool in_block = (flight.flags & ring::payload_is_inline) == 0;
        if (!flight.used() || !in_block || flight.arguments_moved) continue;
        held += shm::Space::rounded(flight.payload.block.bytes);
      }
    }
    expect(state_.arena.arguments_used() == held,
           "arguments hold " + std::to_string(state_.arena.arguments_used()) +
               " bytes of the arena, where " + std::to_string(held) + " are in use");
  }

  const State& state_;
  std::vector<std::string> broken_;
};

}  // namespace

std::vector<std::string> verify(const State& state) { return Verifier(state).run(); }

std::vector<std::string> Core::verify() const {
  const std::lock_guard lock(state_.mutex);
  return pool::verify(state_);
}

}  // namespace pinion::pool
