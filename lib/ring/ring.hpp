// The ring of this build.
#pragma once

#ifdef PINION_RING_BOOST
#include "lib/ring/boost_ring.hpp"
#else
#include "lib/ring/sequence_ring.hpp"
#endif

namespace pinion::ring {

#ifdef PINION_RING_BOOST
template <class Message>
using Ring = BoostRing<Message>;
#else
template <class Message>
using Ring = SequenceRing<Message>;
#endif

}  // namespace pinion::ring
