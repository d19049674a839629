// The same by hand: into shared memory, out of it in the other process, and the same way back. Both
// sides spin, and nothing is allocated.
#include <atomic>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "perf/harness/contestant.hpp"
#include "perf/harness/peer.hpp"
#include "perf/harness/spin.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {
namespace {

struct Wire {
  alignas(128) std::atomic<std::uint64_t> asked{0};
  alignas(128) std::atomic<std::uint64_t> answered{0};
  alignas(4096) char there[sizes::vector_large_bytes];
  alignas(4096) char back[sizes::vector_large_bytes];
};

void wait_for(const std::atomic<std::uint64_t>& word, std::uint64_t value) {
  while (word.load(std::memory_order_acquire) != value) pause_cpu();
}

Sample copies(std::size_t bytes) {
  const Shared<Wire> wire;
  const std::uint64_t calls = sizes::vector_bytes_sent / bytes;
  const std::uint64_t all = calls + calls / 10;
  const Peer peer([&] {
    std::vector<char> own(bytes);
    for (std::uint64_t i = 1; i <= all; ++i) {
      wait_for(wire->asked, i);
      std::memcpy(own.data(), wire->there, bytes);
      std::memcpy(wire->back, own.data(), bytes);
      wire->answered.store(i, std::memory_order_release);
    }
  });
  const Pinned pinned(two_cpus().first);
  const std::vector<char> sent(bytes, 'x');
  std::vector<char> received(bytes);
  auto start = Clock::now();
  for (std::uint64_t i = 1; i <= all; ++i) {
    if (i == all - calls + 1) start = Clock::now();
    std::memcpy(wire->there, sent.data(), bytes);
    wire->asked.store(i, std::memory_order_release);
    wait_for(wire->answered, i);
    std::memcpy(received.data(), wire->back, bytes);
  }
  const double seconds = seconds_since(start);
  if (received != sent) throw std::runtime_error("the echo was something else");
  return {seconds, calls};
}

const Contestant small{"echo/copies_64_kib", [] { return copies(sizes::vector_small_bytes); }};
const Contestant large{"echo/copies_1_mib", [] { return copies(sizes::vector_large_bytes); }};

}  // namespace
}  // namespace pinion::perf
