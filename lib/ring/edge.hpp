// The store-then-load edge: two sides each store a word of their own, then load the other's, and at
// least one of them must see what the other stored. Between store and load stands a full barrier on
// both sides. One side does it often and is the fast one; the other does it rarely, and with
// membarrier it pays for both.
#pragma once

#include "lib/ring/atomics.hpp"

namespace pinion::ring {

/// How the two sides of a store-then-load edge are kept in order: decided once per worker, the
/// same at both ends.
enum class Fencing : std::uint8_t {
  asymmetric,  ///< membarrier at the rare side, a compiler barrier at the fast one
  symmetric,   ///< a full fence at both
};

/// The fast side's barrier between its store and its load.
template <class Atomics = MachineAtomics>
inline void fast_barrier(Fencing fencing) noexcept {
  if constexpr (Atomics::fences_by_rmw) {
    static_cast<void>(fencing);
  } else if (fencing == Fencing::asymmetric) {
    Atomics::compiler_barrier();
  } else {
    Atomics::full_fence();
  }
}

/// The rare side's.
template <class Atomics = MachineAtomics>
inline void rare_barrier(Fencing fencing) noexcept {
  if (fencing == Fencing::asymmetric) {
    Atomics::membarrier();
  } else {
    Atomics::full_fence();
  }
}

/// The store before the barrier.
template <class Atomics, class Word>
inline void store_before(Word& mine, typename Word::value_type value) noexcept {
  if constexpr (Atomics::fences_by_rmw) {
    mine.exchange(value, std::memory_order_seq_cst);
  } else {
    mine.store(value, std::memory_order_release);
  }
}

/// The load behind the fast side's.
template <class Atomics, class Word>
inline typename Word::value_type load_behind(const Word& theirs, std::memory_order order) noexcept {
  if constexpr (Atomics::fences_by_rmw) {
    return const_cast<Word&>(theirs).fetch_add(0, std::memory_order_seq_cst);
  } else {
    return theirs.load(order);
  }
}

}  // namespace pinion::ring
