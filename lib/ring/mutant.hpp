// Faults that a test build has on purpose: a test that does not find them is no test.
//
// Each names one thing that the protocols must not do. A function that would have the fault says
// `if (Atomics::mutant == Mutant::name)`, which is nothing in the library. tests/explore hands them
// in as parts of its policies. The library that tests/mutant runs is built with
// -DPINION_MUTANTS: there PINION_TEST_MUTANT=name chooses one for a whole process and its workers.
// docs/mutants.md says which test catches which.
#pragma once

#include <cstdint>

#ifdef PINION_MUTANTS
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#endif

namespace pinion::ring {

enum class Mutant : std::uint8_t {
  none,
  early_publish,        // a sequence word is stored before its message
  relaxed_publish,      // it is stored without order
  double_fetch,         // what was checked is read from shared memory once more
  unchecked_end,        // a block's end is judged by offset + bytes, which may overflow
  no_generation,        // memory of another generation is taken for one's own
  no_credit,            // a slot is written that may not have been read
  no_parking_barrier,   // a sleeper looks at its slots without a barrier
  silent_bell,          // a sleeper is woken, and its word is not changed before
  segment_reused,       // a successor gets its predecessor's memory
  positions_restarted,  // a successor's positions begin at 0
  claim_after_run,      // a task is run, then claimed
  // Wake-ups that are lost, for whom the backstops are:
  lost_bell,     // a bell is not rung
  lost_telling,  // who waits for something is not told
  lost_baton,    // an owner that leaves hands the baton to nobody
  lost_service,  // the service thread is not told that nobody collects
};

#ifdef PINION_MUTANTS

/// As in PINION_TEST_MUTANT.
inline Mutant chosen_mutant() {
  constexpr std::array<std::string_view, 16> names{
      "none",          "early_publish",  "relaxed_publish",     "double_fetch",
      "unchecked_end", "no_generation",  "no_credit",           "no_parking_barrier",
      "silent_bell",   "segment_reused", "positions_restarted", "claim_after_run",
      "lost_bell",     "lost_telling",   "lost_baton",          "lost_service"};
  const char* const given = std::getenv("PINION_TEST_MUTANT");
  if (given == nullptr) return Mutant::none;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == given) return static_cast<Mutant>(i);
  }
  std::fprintf(stderr, "PINION_TEST_MUTANT names no fault: %s\n", given);
  std::abort();
}
/// The fault of this process.
inline const Mutant built_mutant = chosen_mutant();

#else

/// None: this is the library.
inline constexpr Mutant built_mutant = Mutant::none;

#endif

}  // namespace pinion::ring
