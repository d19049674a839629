#include "perf/harness/probe.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "perf/harness/peer.hpp"
#include "perf/harness/spin.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {
namespace {

constexpr std::uint64_t stop = UINT64_MAX;

struct Flags {
  alignas(128) std::atomic<std::uint64_t> there{0};
  alignas(128) std::atomic<std::uint64_t> back{0};
};

void echo(Flags& flags) {
  std::uint64_t seen = 0;
  for (;;) {
    const std::uint64_t now = flags.there.load(std::memory_order_acquire);
    if (now == stop) return;
    if (now == seen) {
      pause_cpu();
      continue;
    }
    seen = now;
    flags.back.store(now, std::memory_order_release);
  }
}

void round_trip(Flags& flags, std::uint64_t n) {
  flags.there.store(n, std::memory_order_release);
  while (flags.back.load(std::memory_order_acquire) != n) pause_cpu();
}

}  // namespace

double probe_ns() {
  constexpr unsigned batch = 500;
  Shared<Flags> flags;
  const Peer peer([&] { echo(*flags); });
  const Pinned pinned(two_cpus().first);
  std::uint64_t n = 0;
  round_trip(*flags, ++n);
  std::vector<double> batches;
  const auto begin = Clock::now();
  while (Clock::now() - begin < std::chrono::milliseconds(sizes::probe_ms)) {
    const auto start = Clock::now();
    for (unsigned i = 0; i < batch; ++i) round_trip(*flags, ++n);
    batches.push_back(seconds_since(start) * 1e9 / batch);
  }
  flags->there.store(stop, std::memory_order_release);
  const auto middle = batches.begin() + static_cast<std::ptrdiff_t>(batches.size() / 2);
  std::nth_element(batches.begin(), middle, batches.end());
  return *middle;
}

}  // namespace pinion::perf
