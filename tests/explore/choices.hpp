// The choices made in an execution, and the walk through all lists of them, depth first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "tests/explore/operation.hpp"

namespace explore {

class Choices {
 public:
  /// Whose turn it is. Not all that could go on are tried, but those that are `wanted`.
  struct Turn {
    Transitions enabled = 0;
    Transitions asleep = 0;  // tried before, and nothing has happened since that concerns it
    Transitions wanted = 0;
    Transitions tried = 0;
    Transition taken = 0;
  };

  /// An execution begins: its first choices are those of the list.
  void begin() noexcept { depth_ = 0; }
  /// The next list. False: there is none.
  bool next();
  void forget() noexcept { choices_.clear(); }
  /// What is left of the list belongs to no execution.
  void cut() { choices_.resize(depth_); }
  /// From now on new choices are drawn.
  void draw(std::uint64_t seed) {
    draws_ = true;
    random_.seed(seed);
  }

  /// A number below `n`: all, one after the other.
  unsigned value(unsigned n);
  /// One that is enabled and not asleep, `preferred` if it is. Null: all are asleep.
  const Turn* turn(Transitions enabled, Transitions asleep, Transition preferred);
  /// The number of the choice that was made last, for `turn_at`.
  [[nodiscard]] std::size_t last() const noexcept { return depth_ - 1; }
  Turn& turn_at(std::size_t number) { return choices_[number].turn; }

 private:
  struct Choice {
    unsigned count = 0;  // of values; 0: a turn
    unsigned taken = 0;
    Turn turn;
  };
  std::vector<Choice> choices_;
  std::size_t depth_ = 0;
  bool draws_ = false;
  std::mt19937_64 random_;
};

}  // namespace explore
