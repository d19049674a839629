// What goes through the rings: seven words, all written and two of them read.
#pragma once

#include <atomic>
#include <cstdint>
#include <stdexcept>

#include "perf/harness/contestant.hpp"
#include "perf/harness/peer.hpp"
#include "perf/harness/spin.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {

struct Message {
  std::uint64_t words[7];
};

inline Message message_of(std::uint64_t i) { return {{i, i + 1, i + 2, i + 3, i + 4, i + 5, i}}; }

/// One producer here, one consumer in a pinned process, unbatched. `push(message)` and
/// `pop(message)` say whether they could; `ready` and `done` are words on shared pages.
template <typename Push, typename Pop>
Sample stream_messages(Push push, Pop pop) {
  struct Ends {
    alignas(128) std::atomic<bool> ready{false};
    alignas(128) std::atomic<std::uint64_t> sum{0};
    alignas(128) std::atomic<bool> done{false};
  };
  constexpr std::uint64_t n = sizes::ring_items;
  Shared<Ends> ends;
  const Peer consumer([&] {
    ends->ready.store(true, std::memory_order_release);
    std::uint64_t sum = 0;
    Message message;
    for (std::uint64_t i = 0; i < n; ++i) {
      while (!pop(message)) pause_cpu();
      sum += message.words[0] + message.words[6];
    }
    ends->sum.store(sum, std::memory_order_relaxed);
    ends->done.store(true, std::memory_order_release);
  });
  const Pinned pinned(two_cpus().first);
  while (!ends->ready.load(std::memory_order_acquire)) pause_cpu();
  const auto start = Clock::now();
  for (std::uint64_t i = 0; i < n; ++i) {
    const Message message = message_of(i);
    while (!push(message)) pause_cpu();
  }
  while (!ends->done.load(std::memory_order_acquire)) pause_cpu();
  const double seconds = seconds_since(start);
  if (ends->sum.load(std::memory_order_relaxed) != n * (n - 1))
    throw std::runtime_error("messages were lost");
  return {seconds, n};
}

}  // namespace pinion::perf
