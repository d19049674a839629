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

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace pinion::ring {

inline constexpr std::size_t line_bytes = 64;
/// Writers are this far apart: adjacent-line prefetchers fetch lines in pairs.
inline constexpr std::size_t writer_bytes = 128;
inline constexpr std::size_t message_bytes = line_bytes - sizeof(std::uint64_t);

template <class Message>
struct alignas(line_bytes) Slot {
  std::atomic<std::uint64_t> sequence;
  Message message;

  static_assert(std::is_trivially_copyable_v<Message>, "it is copied by words between processes");
  static_assert(sizeof(Message) == message_bytes, "a slot is one cache line");
};

/// Copies a message that the other side may be writing: every word is read exactly once, so what
/// was checked is what is used.
template <class Message>
inline void copy_once(Message& to, const Message& from) noexcept {
  static_assert(sizeof(Message) % sizeof(std::uint64_t) == 0);
  constexpr std::size_t words = sizeof(Message) / sizeof(std::uint64_t);
  std::uint64_t local[words];
  const auto* source = reinterpret_cast<const std::uint64_t*>(&from);
  for (std::size_t i = 0; i < words; ++i) {
    local[i] = __atomic_load_n(source + i, __ATOMIC_RELAXED);
  }
  std::memcpy(&to, local, sizeof to);
}

}  // namespace pinion::ring
