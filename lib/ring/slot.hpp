// The slot: one cache line that carries one message.
//
//   byte  0        8                                                      64
//         +--------+------------------------------------------------------+
//         |sequence|                    message, 56 bytes                  |
//         +--------+------------------------------------------------------+
//
//   field     only writer
//   sequence  the ring's producer, last (release): position + 1 of the message in it
//   message   the ring's producer, before it
//
// A position is 64 bits wide and never restarts, so a sequence word says by itself which message
// lies in its slot, and both ends keep their positions in private memory: nothing that is written
// here can steer an address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "lib/ring/atomics.hpp"

namespace pinion::ring {

inline constexpr std::size_t line_bytes = 64;
/// Writers are this far apart: adjacent-line prefetchers fetch lines in pairs.
inline constexpr std::size_t writer_bytes = 128;
inline constexpr std::size_t message_bytes = line_bytes - sizeof(std::uint64_t);

template <class Message, class Atomics = MachineAtomics>
struct alignas(line_bytes) Slot {
  typename Atomics::template Word<std::uint64_t> sequence;
  typename Atomics::template Stored<Message> message;

  static_assert(std::is_trivially_copyable_v<Message>, "it is copied by words between processes");
  static_assert(!std::is_same_v<Atomics, MachineAtomics> || sizeof(Message) == message_bytes,
                "a slot is one cache line");
};

}  // namespace pinion::ring
