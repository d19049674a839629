// The limit of dispatch: two bare rings, a window, and nothing that a pool is for.
#include <atomic>

#include "perf/ring/limit.hpp"

namespace pinion::perf {
namespace {

struct Farm {
  LimitRing tasks;
  LimitRing results;
  alignas(128) std::atomic<bool> ready{false};
};

constexpr std::uint64_t n = sizes::farm_tasks;
static_assert(n % (sizes::window / 4) == 0, "results are taken by quarters of the window");

void work(Farm& farm) {
  LimitConsumer tasks(farm.tasks);
  LimitProducer results(farm.results);
  farm.ready.store(true, std::memory_order_release);
  std::uint64_t task = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    while (!tasks.pop_word(task)) pause_cpu();
    while (!results.push(message_of(task))) pause_cpu();
  }
}

Sample bare_farm() {
  Shared<Farm> farm;
  const Peer worker([&] { work(*farm); });
  const Pinned pinned(two_cpus().first);
  LimitProducer tasks(farm->tasks);
  LimitConsumer results(farm->results);
  while (!farm->ready.load(std::memory_order_acquire)) pause_cpu();
  const auto start = Clock::now();
  std::uint64_t result = 0;
  for (std::uint64_t sent = 0, done = 0; done < n;) {
    for (; sent < n && sent - done < sizes::window; ++sent) tasks.push(message_of(sent));
    for (const std::uint64_t end = done + sizes::window / 4; done < end; ++done) {
      while (!results.pop_word(result)) pause_cpu();
    }
  }
  return {seconds_since(start), n};
}

const Contestant registered{"dispatch/bare_farm", bare_farm};

}  // namespace
}  // namespace pinion::perf
