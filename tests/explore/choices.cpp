#include "tests/explore/choices.hpp"

#include <bit>
#include <cstdlib>

namespace explore {

namespace {

Transition lowest(Transitions set) { return static_cast<Transition>(std::countr_zero(set)); }

/// The scenario did not do again what it did before: it depends on more than its choices.
[[noreturn]] void not_repeated() { std::abort(); }

}  // namespace

bool Choices::next() {
  for (; !choices_.empty(); choices_.pop_back()) {
    Choice& last = choices_.back();
    if (last.count != 0) {
      if (++last.taken < last.count) return true;
      continue;
    }
    Turn& turn = last.turn;
    turn.tried |= bit(turn.taken);
    const Transitions left = turn.wanted & ~turn.tried & ~turn.asleep;
    if (left == 0) continue;
    turn.taken = lowest(left);
    return true;
  }
  return false;
}

unsigned Choices::value(unsigned n) {
  if (n <= 1) return 0;
  if (depth_ == choices_.size()) {
    choices_.push_back({n, draws_ ? static_cast<unsigned>(random_() % n) : 0, {}});
  }
  const Choice& choice = choices_[depth_++];
  if (choice.count != n) not_repeated();
  return choice.taken;
}

const Choices::Turn* Choices::turn(Transitions enabled, Transitions asleep, Transition preferred) {
  if (depth_ == choices_.size()) {
    const Transitions options = enabled & ~asleep;
    if (options == 0) return nullptr;
    Choice fresh;
    fresh.turn.enabled = enabled;
    fresh.turn.asleep = asleep;
    fresh.turn.taken = (options & bit(preferred)) != 0 ? preferred : lowest(options);
    fresh.turn.wanted = bit(fresh.turn.taken);
    choices_.push_back(fresh);
  }
  const Choice& choice = choices_[depth_++];
  if (choice.count != 0 || choice.turn.enabled != enabled) not_repeated();
  return &choice.turn;
}

}  // namespace explore
