// Boost's ring of the same slots: compile-time capacity, a line for each message.
#include <boost/lockfree/spsc_queue.hpp>

#include "perf/ring/message.hpp"

namespace pinion::perf {
namespace {

struct alignas(64) Slot {
  Message message;
};

using Ring = boost::lockfree::spsc_queue<Slot, boost::lockfree::capacity<sizes::ring_slots>>;

Sample boost_ring() {
  Shared<Ring> ring;
  return stream_messages([&](const Message& message) { return ring->push(Slot{message}); },
                         [&](Message& message) {
                           Slot slot;
                           if (!ring->pop(slot)) return false;
                           message = slot.message;
                           return true;
                         });
}

const Contestant registered{"ring/boost", boost_ring};

}  // namespace
}  // namespace pinion::perf
