// What a thread of the explorer does next, and whether the order of two such operations matters.
#pragma once

#include <cstdint>
#include <string>

#include "tests/explore/memory.hpp"

namespace explore {

struct Operation {
  enum Kind : std::uint8_t {
    resume,  // goes on after it was woken
    load,
    store,
    update,  // a read-modify-write
    fence,
    barrier,  // membarrier reaches thread `other`
    wait,     // on a futex
    wake,
    take,  // an event, when it has been rung
    lock,
    pause,  // until the word is written that was loaded last
  };
  Kind kind = resume;
  Location at = 0;
  bool sc = false;
  unsigned other = 0;

  /// Waits until all that its thread has stored can be seen.
  [[nodiscard]] bool empties_buffer() const noexcept;
  /// Whether it waits for what others do.
  [[nodiscard]] bool may_have_to_wait() const noexcept {
    return kind == barrier || kind == take || kind == lock;
  }
};

/// What goes on by itself: thread t is transition t; the buffer of its stores, which become visible
/// at any time, is transition `threads` + t.
using Transition = unsigned;
using Transitions = std::uint32_t;  // a set of them, a bit each

inline constexpr unsigned transitions_max = 2 * threads_max;

constexpr Transitions bit(Transition t) noexcept { return Transitions{1} << t; }

/// Whether the order of two operations of different threads matters, or of the same transition.
/// What lies between a thread and its own buffer is not judged here.
class Dependence {
 public:
  Dependence(Model model, unsigned threads) noexcept : model_(model), threads_(threads) {}
  bool operator()(Transition a, const Operation& x, Transition b,
                  const Operation& y) const noexcept;

 private:
  Model model_;
  unsigned threads_;
};

}  // namespace explore
