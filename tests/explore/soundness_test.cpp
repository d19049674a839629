// The explorer leaves out orders that cannot matter. Random programs, each explored with and
// without that: the outcomes must be the same.
#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/explore/atomics.hpp"
#include "tests/support/seed.hpp"

using namespace explore;

namespace {

struct Step {
  enum Kind : unsigned {
    load,
    store,
    add,
    exchange_if_zero,
    fence,
    membarrier,
    wait,
    wake,
    locked_add,
    event,
    ring,
    await
  };
  Kind kind;
  unsigned word;
  std::uint32_t value;
  std::memory_order order;
};

constexpr std::memory_order orders_of_loads[] = {
    std::memory_order_relaxed, std::memory_order_acquire, std::memory_order_seq_cst};
constexpr std::memory_order orders_of_stores[] = {
    std::memory_order_relaxed, std::memory_order_release, std::memory_order_seq_cst};

std::array<std::vector<Step>, 3> program;
std::set<std::string>* outcomes = nullptr;

/// Runs `program`; its outcome is all that was read, and what is left.
template <unsigned count>
struct Program {
  static constexpr unsigned threads = count;
  bool may_be_stuck = false;
  std::array<Word<std::uint32_t>, 2> words;
  Word<std::uint32_t> guarded;
  Mutex mutex;
  Event event;
  std::array<std::string, count> read;

  void run(unsigned thread) {
    for (const Step& step : program[thread]) run(step, read[thread]);
  }
  void run(const Step& step, std::string& text) {
    auto& word = words[step.word];
    std::uint32_t value = 0;
    switch (step.kind) {
      case Step::load:
        text += std::to_string(word.load(step.order));
        return;
      case Step::store:
        return word.store(step.value, step.order);
      case Step::add:
        text += std::to_string(word.fetch_add(step.value, step.order));
        return;
      case Step::exchange_if_zero:
        text += word.compare_exchange_strong(value, step.value, step.order) ? "y" : "n";
        text += std::to_string(value);
        return;
      case Step::fence:
        return Atomics<>::full_fence();
      case Step::membarrier:
        return Atomics<>::membarrier();
      case Step::wait:
        Atomics<>::futex_wait(word, 0, 0);
        text += "w";
        return;
      case Step::wake:
        return Atomics<>::futex_wake(word, 1);
      case Step::locked_add:
        mutex.lock();
        value = guarded.load(std::memory_order_relaxed);
        guarded.store(value + 1, std::memory_order_relaxed);
        mutex.unlock();
        text += std::to_string(value);
        return;
      case Step::event:
        return event.take();
      case Step::ring:
        return Atomics<>::ring_eventfd(event.fd());
      case Step::await:
        while ((value = word.load(step.order)) == 0) await_change();
        text += std::to_string(value);
        return;
    }
  }
  void check() {
    std::string text;
    for (const auto& one : read) text += one + ",";
    for (auto& word : words) text += std::to_string(word.load());
    text += std::to_string(guarded.load()) + (may_be_stuck ? " stuck" : "");
    outcomes->insert(text);
  }
};

template <unsigned count>
std::set<std::string> all_of(Model model, unsigned preemptions, std::uint64_t& executions) {
  std::set<std::string> found;
  outcomes = &found;
  Options options;
  options.model = model;
  options.preemptions = preemptions;
  options.executions_max = 50'000;
  const Result result = explore::explore<Program<count>>(options);
  REQUIRE(result.failure == "");
  executions += result.executions;
  if (!result.complete) found.clear();  // too many to compare
  return found;
}

std::string text_of(const std::set<std::string>& set) {
  std::string text;
  for (const auto& one : set) text += one + "\n";
  return text;
}

std::string program_text(unsigned count) {
  constexpr const char* names[] = {"load", "store", "add",    "cas0",  "fence", "membarrier",
                                   "wait", "wake",  "locked", "event", "ring",  "await"};
  std::string text;
  for (unsigned t = 0; t < count; ++t) {
    text += "thread " + std::to_string(t) + ":";
    for (const Step& s : program[t]) {
      text += std::string(" ") + names[s.kind] + "(" + std::to_string(s.word) + "," +
              std::to_string(s.value) + "," + std::to_string(static_cast<int>(s.order)) + ")";
    }
    text += "\n";
  }
  return text;
}

template <unsigned count>
void compare(std::mt19937_64& random, unsigned programs, unsigned length) {
  std::uint64_t few = 0;
  std::uint64_t all = 0;
  unsigned compared = 0;
  for (unsigned n = 0; n < programs; ++n) {
    for (unsigned t = 0; t < count; ++t) {
      program[t].clear();
      for (unsigned i = 1 + static_cast<unsigned>(random() % length); i > 0; --i) {
        Step step{};
        const auto drawn = random() % 20;
        step.kind = drawn < 12   ? static_cast<Step::Kind>(drawn)
                    : drawn < 16 ? Step::load
                                 : Step::store;
        step.word = static_cast<unsigned>(random() % 2);
        step.value = 1 + static_cast<std::uint32_t>(random() % 2);
        const bool loads = step.kind == Step::load || step.kind == Step::await;
        step.order = loads ? orders_of_loads[random() % 3] : orders_of_stores[random() % 3];
        program[t].push_back(step);
      }
    }
    for (const Model model : {Model::tso, Model::weak}) {
      const auto whole = all_of<count>(model, 1000, all);
      if (whole.empty()) continue;
      ++compared;
      const auto reduced = all_of<count>(model, Options::unlimited, few);
      if (reduced == whole) continue;
      INFO((model == Model::tso ? "tso" : "weak"));
      INFO(program_text(count));
      CHECK(text_of(reduced) == text_of(whole));
    }
  }
  std::printf("%u threads: %u compared, %llu executions of %llu\n", count, compared,
              static_cast<unsigned long long>(few), static_cast<unsigned long long>(all));
  CHECK(compared > programs / 2);
}

}  // namespace

TEST_CASE("what is left out has no outcome of its own") {
  auto random = checks::seeded();
  compare<2>(random, 300, 4);
  compare<3>(random, 150, 2);
}
