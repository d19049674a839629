// Memory as the explorer's threads see it: what a load may read, and what others see of a store.
//
// Two models, behind one interface:
//
//   tso    x86: each thread has a first-in first-out buffer of its own stores. A load reads its own
//          newest store, else memory. Fences and read-modify-writes wait until the buffer is empty.
//   weak   the C++20 model without load buffering: each location keeps all messages ever stored, in
//          modification order; each thread has a view, the oldest message of each location that it
//          may still read. A release store carries the view of its thread, an acquire load takes it
//          over. Sequentially consistent fences take over, and leave, a view that they all share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace explore {

using Location = std::uint16_t;
using Value = std::uint64_t;

inline constexpr unsigned threads_max = 4;
inline constexpr Location locations_max = 32;

enum class Model : std::uint8_t { tso, weak };

struct Order {
  bool acquire = false;
  bool release = false;
  bool sc = false;
};

/// Makes the choices that a model leaves open.
class Chooser {
 public:
  /// A number below `n`; 0 is the most ordinary choice.
  virtual unsigned choose(unsigned n) = 0;

 protected:
  ~Chooser() = default;
};

/// What a read-modify-write does with the value that it read.
struct Change {
  enum How : std::uint8_t { exchange, add, subtract, set_bits, exchange_if_equal };
  How how = exchange;
  Value operand = 0;
  Value expected = 0;  // of `exchange_if_equal`
  Value mask = ~Value{0};

  [[nodiscard]] bool writes(Value read) const noexcept {
    return how != exchange_if_equal || read == expected;
  }
  [[nodiscard]] Value apply(Value read) const noexcept {
    switch (how) {
      case add:
        return (read + operand) & mask;
      case subtract:
        return (read - operand) & mask;
      case set_bits:
        return read | operand;
      default:
        return operand;
    }
  }
};

class Memory {
 public:
  static std::unique_ptr<Memory> make(Model model);
  virtual ~Memory() = default;

  /// Forgets everything.
  virtual void reset(unsigned threads) = 0;
  virtual Location add(Value initial) = 0;
  /// Before the threads begin and after they have ended: the one who makes and checks them.
  virtual Value look(Location at) const = 0;
  virtual void put(Location at, Value value) = 0;
  /// The threads begin, and see all that was stored before.
  virtual void begin() = 0;

  virtual Value load(unsigned thread, Location at, Order order, Chooser& chooser) = 0;
  virtual void store(unsigned thread, Location at, Value value, Order order, Chooser& chooser) = 0;
  /// Returns the value that was read.
  virtual Value update(unsigned thread, Location at, const Change& change, Order order,
                       Chooser& chooser) = 0;
  virtual void fence(unsigned thread) = 0;

  /// Whether the thread has stores that nobody else can see yet, which `flush` shows one by one.
  virtual bool buffered(unsigned thread) const = 0;
  /// Returns the location that was written.
  virtual Location flush(unsigned thread) = 0;
  virtual Location next_flush(unsigned thread) const = 0;
  /// Every store becomes visible some day: from now on the thread reads nothing older than what
  /// there is now.
  virtual void catch_up(unsigned thread) = 0;
};

}  // namespace explore
