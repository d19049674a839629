#include "tests/explore/races.hpp"

#include <algorithm>

namespace explore {

void Races::Clock::join(const Clock& other) noexcept {
  for (std::size_t i = 0; i < of.size(); ++i) of[i] = std::max(of[i], other.of[i]);
}

void Races::begin() {
  steps_.clear();
  clocks_.fill(Clock{});
  for (auto& stored : stored_) stored.clear();
}

void Races::step(Transition transition, const Operation& operation, bool buffered) {
  Clock clock = find(transition, operation);
  ++clock.of[transition];
  clocks_[transition] = clock;
  steps_.push_back({transition, operation, clock, choices_.last()});
  if (buffered) stored_[transition].push_back(clock);
  if (transition >= threads_) {
    auto& stored = stored_[transition - threads_];
    stored.erase(stored.begin());
  }
}

void Races::pending(Transition transition, const Operation& operation) {
  find(transition, operation);
}

/// What must come before the transition's next operation, as far as its own thread prescribes it.
Races::Clock Races::own_clock(Transition transition, const Operation& operation) const {
  Clock clock = clocks_[transition];
  if (transition >= threads_) {  // a store becomes visible after it was made
    clock.join(stored_[transition - threads_].front());
  } else if (operation.empties_buffer()) {
    clock.join(clocks_[threads_ + transition]);
  }
  return clock;
}

/// Finds the races of the operation with earlier steps. Returns all that comes before it here.
Races::Clock Races::find(Transition transition, const Operation& operation) {
  Clock all = own_clock(transition, operation);
  Clock covered = all;
  if (operation.kind == Operation::barrier) {
    // It waits for a buffer to be empty. But it may also come before what was stored there.
    all.join(clocks_[threads_ + operation.other]);
  }
  found_.clear();
  for (std::size_t i = steps_.size(); i-- > 0;) {
    const Step& step = steps_[i];
    const Transition other = step.transition;
    // Something between needs that one.
    const bool needed = covered.of[other] >= step.clock.of[other];
    if (other == transition || (needed && all.of[other] >= step.clock.of[other])) continue;
    if (!dependent_(other, step.operation, transition, operation)) continue;
    all.join(step.clock);
    if (needed) continue;
    // An unlock must come first, but the lock before it may come later.
    if (operation.kind == Operation::lock && step.operation.kind == Operation::store) continue;
    // One that could not come before this step may still come before one that this step needs.
    if (!operation.may_have_to_wait()) covered.join(step.clock);
    // A pause ends because of that step.
    if (operation.kind != Operation::pause) found_.push_back(i);
  }
  for (const std::size_t i : found_) reverse(i, transition, all);
  return all;
}

/// Asks for an execution in which what does not need the earlier step comes before it, and then the
/// transition: for a turn of one that has nothing before it in that.
void Races::reverse(std::size_t earlier, Transition transition, const Clock& clock) {
  const Step& step = steps_[earlier];
  Transitions first = 0;
  Transitions seen = 0;
  Clock begins;  // of those seen: the number of their first step
  const auto look = [&](Transition t, const Clock& its) {
    if ((seen & bit(t)) != 0) return;
    bool is_first = true;
    for (Transition u = 0; u < 2 * threads_; ++u) {
      if ((seen & bit(u)) != 0 && its.of[u] >= begins.of[u]) is_first = false;
    }
    if (is_first) first |= bit(t);
    seen |= bit(t);
    begins.of[t] = its.of[t];
  };
  for (std::size_t i = earlier + 1; i < steps_.size(); ++i) {
    const Step& next = steps_[i];
    if (next.clock.of[step.transition] < step.clock.of[step.transition]) {
      look(next.transition, next.clock);
    }
  }
  look(transition, clock);
  Choices::Turn& turn = choices_.turn_at(step.choice);
  first &= turn.enabled;
  if (first == 0) {
    turn.wanted |= turn.enabled;
  } else if ((first & turn.wanted) == 0) {
    turn.wanted |= first & (~first + 1);
  }
}

}  // namespace explore
