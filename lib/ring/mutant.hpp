// Faults that a test build has on purpose: a test that does not find them is no test.
//
// Each names one thing that the protocols must not do. Where it is a fault of one function, that
// function says `if constexpr (... mutant == Mutant::name)`, and a build with -DPINION_MUTANT=name
// has it; where it is one of how the functions are used (`no_credit`, `segment_reused`), the scene of
// the test has it. tests/explore has all of them without a special build, but for `unchecked_end`,
// which tests/unit/block_range_test.cpp has. What a worker of before has written, taken for its
// successor's, is a fault of tests/model/respawn.pml.
#pragma once

#include <cstdint>

#ifndef PINION_MUTANT
#define PINION_MUTANT none
#endif

namespace pinion::ring {

enum class Mutant : std::uint8_t {
  none,
  early_publish,        // a sequence word is stored before its message
  relaxed_publish,      // it is stored without order
  double_fetch,         // what was checked is read from shared memory once more
  unchecked_end,        // a block's end is judged by offset + bytes, which may overflow
  no_credit,            // a slot is written that may not have been read
  no_parking_barrier,   // a sleeper looks at its slots without a barrier
  silent_bell,          // a sleeper is woken, and its word is not changed before
  segment_reused,       // a successor gets its predecessor's memory
  positions_restarted,  // a successor's positions begin at 0
  claim_after_run,      // a task is run, then claimed
};

/// The fault of this build.
inline constexpr Mutant built_mutant = Mutant::PINION_MUTANT;

}  // namespace pinion::ring
