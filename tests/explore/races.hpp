// Which orders need to be tried.
//
// Two steps race when their order matters and nothing else prescribes it. For each race of an
// execution there must be another one in which the later step comes first: so a turn is asked for,
// where the earlier step was made, of a transition that can begin such an execution. Executions
// that differ otherwise only in the order of steps that do not concern each other are not made.
// Source: "Optimal Dynamic Partial Order Reduction", P. Abdulla, S. Aronis, B. Jonsson, K. Sagonas,
// 2014 (source sets).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "tests/explore/choices.hpp"
#include "tests/explore/operation.hpp"

namespace explore {

class Races {
 public:
  Races(Dependence dependent, unsigned threads, Choices& choices) noexcept
      : dependent_(dependent), threads_(threads), choices_(choices) {}

  void begin();
  /// It is the transition's turn, by the choice made last. `buffered`: what it stores is not
  /// visible yet.
  void step(Transition transition, const Operation& operation, bool buffered);
  /// The execution ends here, but this could have come next.
  void pending(Transition transition, const Operation& operation);
  /// Thread `woken` goes on because of what `by` did.
  void woken(Transition woken, Transition by) { clocks_[woken].join(clocks_[by]); }
  /// The thread goes on because of all that was done.
  void woken_by_all(Transition woken) {
    for (const Clock& clock : clocks_) clocks_[woken].join(clock);
  }

 private:
  /// How many steps of each transition must come before.
  struct Clock {
    std::array<std::uint16_t, transitions_max> of{};
    void join(const Clock& other) noexcept;
  };
  struct Step {
    Transition transition;
    Operation operation;
    Clock clock;  // with itself
    std::size_t choice;
  };

  [[nodiscard]] Clock own_clock(Transition transition, const Operation& operation) const;
  Clock find(Transition transition, const Operation& operation);
  void reverse(std::size_t earlier, Transition transition, const Clock& clock);

  const Dependence dependent_;
  const unsigned threads_;
  Choices& choices_;
  std::vector<Step> steps_;
  std::vector<std::size_t> found_;
  std::array<Clock, transitions_max> clocks_{};
  std::array<std::vector<Clock>, threads_max> stored_;  // of what lies in the buffers
};

}  // namespace explore
