// Runs a few threads of real code in every order, upon a model of memory.
//
// A scenario is a class: its constructor makes what the threads share, `run(thread)` is what each
// of them does, `check()` is what must hold when all have ended. The explorer makes one for each
// execution. Threads that are stuck are a failure, unless the scenario has a member `may_be_stuck`,
// which is set then. Threads are fibers; each operation on shared memory is a point where another
// may go on first, and where a load may choose among several values. An execution is the list of
// the choices made in it. `explore` walks through all lists, depth first, each time from the
// beginning.
//
// Not all of them are needed (races.hpp). With a bound on preemptions, and at random, nothing is
// left out.
//
// What is not tried: that a load takes its value from a store that comes after it in its own
// thread's dependencies (load buffering); compilers; more than one operation of the kernel at once.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "tests/explore/choices.hpp"
#include "tests/explore/fiber.hpp"
#include "tests/explore/memory.hpp"
#include "tests/explore/operation.hpp"
#include "tests/explore/races.hpp"

namespace explore {

struct Options {
  Model model = Model::weak;
  /// At most so many times a thread that could go on is made to wait for another.
  unsigned preemptions = unlimited;
  std::uint64_t executions_max = 20'000'000;
  /// Not all orders, but so many at random.
  std::uint64_t random_executions = 0;
  std::uint64_t seed = 0;

  static constexpr unsigned unlimited = ~0U;
};

struct Result {
  std::uint64_t executions = 0;  // with those that were given up as others again
  bool complete = false;         // all were tried, within the bound on preemptions if there is one
  std::string failure;           // of the first that failed; empty: none did
  std::string trace;             // what happened in it
  std::size_t steps_max = 0;
};

class Explorer final : public Chooser {
 public:
  /// The one that runs.
  static Explorer& current() noexcept { return *current_; }

  template <class Scenario>
  static Result explore(const Options& options) {
    Explorer explorer(options, Scenario::threads);
    return explorer.all([](Explorer& self) {
      Scenario scenario;
      self.body_ = [](void* at, unsigned thread) { static_cast<Scenario*>(at)->run(thread); };
      self.scenario_ = &scenario;
      const bool whole = self.execute();
      if constexpr (requires { scenario.may_be_stuck; }) {
        scenario.may_be_stuck = self.stuck_;
        if (whole) scenario.check();
      } else {
        if (self.stuck_) self.fail("stuck: somebody waits, and nobody will end it");
        if (whole && !self.stuck_) scenario.check();
      }
    });
  }

  // For the words of a scenario (atomics.hpp).
  Location add(Value initial);
  Value load(Location at, Order order);
  void store(Location at, Value value, Order order);
  Value update(Location at, const Change& change, Order order);
  void fence();
  void membarrier();
  void futex_wait(Location at, Value expected);
  void futex_wake(Location at, int count);
  void take_event(Location at);
  void lock(Location at);
  void unlock(Location at);
  void pause();
  void fail(const char* what);
  void name(Location at, const char* name) { names_[at] = name; }

  unsigned choose(unsigned n) override { return choices_.value(n); }

 private:
  enum class State : std::uint8_t { ready, blocked, ended };
  struct Thread {
    Fiber fiber;
    State state = State::ready;
    Operation next;
    Location sleeps_on = 0;
    // Of the last load: where, what was read, and how often had been written there.
    Location looked_at = 0;
    Value looked_value = 0;
    std::uint64_t seen = 0;
    bool shown = false;  // everything, since it paused
  };

  Explorer(const Options& options, unsigned threads);
  Result all(void (*once)(Explorer&));
  bool execute();
  static void begin(unsigned thread);
  void go_to_main();
  void stop();

  void point(const Operation& operation);
  void schedule();
  void end_here();
  bool show_everything();
  [[nodiscard]] Transitions enabled() const;
  [[nodiscard]] bool enabled(Transition transition) const;
  [[nodiscard]] bool could_go_on(unsigned thread) const;
  [[nodiscard]] Operation operation_of(Transition transition) const;
  Transition one_of_all(Transitions enabled);
  Transition one_of_few(Transitions enabled);
  void wrote(Location at) { ++written_[at]; }

  void note(unsigned thread, const std::string& what);
  [[nodiscard]] std::string place(Location at) const;

  static inline Explorer* current_ = nullptr;

  const Options options_;
  const unsigned threads_count_;
  std::unique_ptr<Memory> memory_;
  std::array<Thread, threads_max> threads_;
  Fiber main_;
  void (*body_)(void*, unsigned) = nullptr;
  void* scenario_ = nullptr;

  const bool reduced_;  // not every order is tried
  const Dependence dependent_;
  Choices choices_;
  Races races_;

  unsigned now_ = 0;       // the thread that runs
  bool running_ = false;   // threads exist
  bool starting_ = false;  // each runs to its first operation
  bool tracing_ = false;
  bool pruned_ = false;  // another execution was the same
  bool stuck_ = false;   // threads wait for each other
  Transitions asleep_ = 0;
  unsigned preempted_ = 0;
  std::size_t steps_ = 0;
  std::array<std::uint64_t, locations_max> written_{};  // how often, as far as can be seen
  std::string failure_;
  std::string trace_;
  std::array<const char*, locations_max> names_{};
};

/// A condition that must hold, in a thread or at the end.
inline void require(bool holds, const char* what) {
  if (!holds) Explorer::current().fail(what);
}
/// A thread that looks in vain waits here until the word that it looked at last has changed.
inline void await_change() { Explorer::current().pause(); }

template <class Scenario>
Result explore(const Options& options) {
  return Explorer::explore<Scenario>(options);
}

}  // namespace explore
