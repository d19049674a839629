// Steps a worker through its code, instruction by instruction, and kills or stops it where a test
// wants: every point of an operation can be visited (FAULTS: F1a, F4).
//
// The tracer is a process of its own. A pool can reap a worker only when nobody traces it any more,
// so the tracer lets go of the worker with the very signal that ends it: not one further
// instruction runs, and the pool sees an ordinary death.
//
// A window is what a worker does from one sleep on its futex to the next. Recording it once gives
// the address of each instruction. On a later one the worker runs at full speed to an address near
// point k, past it as often as it was recorded, and is stepped from there.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace checks {

/// What a window visits: `at[k]` is where the worker stands after k instructions. The last one is
/// the system call by which it goes to sleep again.
struct Trace {
  std::vector<std::uint64_t> at;
  /// The point to run to on the way to point k; 0: none.
  std::vector<std::uint32_t> landmark;
  /// The how manieth visit of its address point k is.
  std::vector<std::uint32_t> visit;
  /// Whether it lies in the program's own code, pinion's included. Libraries' code may take other
  /// ways another time: memory is found elsewhere, a clock is read twice.
  std::vector<bool> ours;

  static Trace of(const std::uint64_t* addresses, std::size_t count);

  /// One more than the instructions: the worker asleep.
  [[nodiscard]] std::size_t points() const noexcept { return at.size() + 1; }

  /// Whether the program's own code took the same way in both.
  [[nodiscard]] bool same_way(const Trace& other) const;

  /// All points in the program's own code, the first and last ones of each run of libraries' code,
  /// the sleep, and of what is left so many at random.
  ///
  /// What is left is copying, allocating, throwing and looking at clocks: in private memory, or in
  /// a block that no message names yet. To the manager such a point is the same as the one before
  /// that run of code, which is visited; a store of libraries' code that it could see would be a
  /// copy into a slot, and those are inlined into ours. PINION_TEST_EVERY_STEP visits these points,
  /// too, but for what lies more than 10,000 instructions from any landmark: of a long copy, each
  /// costs all the rounds before it.
  [[nodiscard]] std::vector<std::size_t> choose(std::size_t library_max,
                                                std::mt19937_64& random) const;
};

class Stepper {
 public:
  enum class Then {
    kill,  ///< SIGKILL
    stop,  ///< SIGSTOP, which SIGCONT ends
  };
  enum class Manager {
    looks_away,  ///< it does not look at its rings
    sleeps,      ///< its first thread sleeps before the worker goes on
  };

  /// Forks the tracer: the program must have one thread. Made before what counts processes.
  Stepper();
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;
  /// Ends the tracer, and with it whatever it holds.
  ~Stepper();

  /// Why workers cannot be stepped here; empty where they can.
  [[nodiscard]] std::string obstacle();

  /// For a pool's initializer: lets the tracer in where only ancestors may trace.
  static void allow();

  /// Waits until the worker sleeps, and holds it there.
  void hold(pid_t worker);
  /// Lets the worker that is held go on.
  void let_go();

  /// Starts the window of the worker that is held; returns at once. It goes on untraced after it.
  void begin_record(Manager manager = Manager::looks_away);
  Trace end_record();

  /// Starts the way of the worker that is held to point k of the window; returns at once.
  void begin(const Trace& trace, std::size_t k, Then then, Manager manager = Manager::looks_away);
  /// Waits until it was done. False: the worker took another way than the one recorded; the signal
  /// was sent to it nevertheless.
  bool end();

 private:
  struct Order;
  struct Answer;
  class Tracer;

  void send(const Order& order);
  Answer receive(const char* doing);

  int socket_ = -1;
  pid_t tracer_ = 0;
  pid_t held_ = 0;
  std::uint64_t* addresses_ = nullptr;  // shared with the tracer
};

}  // namespace checks
