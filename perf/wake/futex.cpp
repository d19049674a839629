// The reference of a wake-up: a raw futex round trip between two pinned processes, both asleep.
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "perf/harness/peer.hpp"
#include "perf/wake/pauses.hpp"

namespace pinion::perf {
namespace {

using Word = std::atomic<std::uint32_t>;

constexpr std::uint32_t stop = UINT32_MAX;

struct Words {
  alignas(128) Word there{0};
  alignas(128) Word back{0};
};

std::uint32_t sleep_while(Word& word, std::uint32_t old) {
  for (;;) {
    const std::uint32_t now = word.load(std::memory_order_acquire);
    if (now != old) return now;
    syscall(SYS_futex, &word, FUTEX_WAIT, old, nullptr, nullptr, 0);
  }
}

void store_and_wake(Word& word, std::uint32_t value) {
  word.store(value, std::memory_order_release);
  syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

void echo(Words& words) {
  for (std::uint32_t seen = 0; (seen = sleep_while(words.there, seen)) != stop;) {
    store_and_wake(words.back, seen);
  }
}

Sample futex() {
  Shared<Words> words;
  const Peer peer([&] { echo(*words); });
  const Pinned pinned(two_cpus().first);
  std::uint32_t n = 0;
  const Sample sample = median_after_pauses([&] {
    store_and_wake(words->there, n + 1);
    sleep_while(words->back, n);
    ++n;
  });
  store_and_wake(words->there, stop);
  return sample;
}

const Contestant registered{"wake/futex", futex};

}  // namespace
}  // namespace pinion::perf
