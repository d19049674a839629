// The explorer itself: of small programs whose outcomes are known, it finds all that the model
// allows, and no others. Sources of the tests' names and outcomes: "Herding Cats", J. Alglave,
// L. Maranget, M. Tautschnig, 2014; C++20, [atomics.order].
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "tests/explore/atomics.hpp"

using namespace explore;

namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;
constexpr auto seq_cst = std::memory_order_seq_cst;

using Outcomes = std::set<std::string>;

std::string text_of(const Outcomes& outcomes) {
  std::string text;
  for (const auto& outcome : outcomes) text += outcome + " ";
  return text;
}

/// What the executions of a scenario have read.
Outcomes* outcomes = nullptr;

struct Litmus {
  Word<std::uint32_t> x;
  Word<std::uint32_t> y;
  std::uint32_t read[4]{9, 9, 9, 9};

  void check() {
    if (outcomes == nullptr) return;
    std::string text;
    for (const std::uint32_t value : read) {
      if (value != 9) text += static_cast<char>('0' + value);
    }
    outcomes->insert(text);
  }
};

bool has(const std::string& all, const char* outcome) {
  return all.find(std::string(outcome) + " ") != std::string::npos;
}

template <class Scenario>
std::string all_of(Model model, unsigned preemptions = Options::unlimited) {
  Outcomes found;
  outcomes = &found;
  Options options;
  options.model = model;
  options.preemptions = preemptions;
  const Result result = explore::explore<Scenario>(options);
  outcomes = nullptr;
  CHECK(result.failure == "");
  CHECK(result.complete);
  return text_of(found);
}

enum class Between { nothing, fence, membarrier, own_membarrier };

template <Between between>
struct StoreBuffering : Litmus {
  static constexpr unsigned threads = 2;
  void run(unsigned thread) {
    (thread == 0 ? x : y).store(1, release);
    if (between == Between::fence) Atomics<>::full_fence();
    if (between == Between::membarrier && thread == 0) Atomics<>::membarrier();
    read[thread] = (thread == 0 ? y : x).load(acquire);
  }
};

template <std::memory_order publish, std::memory_order look>
struct MessagePassing : Litmus {
  static constexpr unsigned threads = 2;
  void run(unsigned thread) {
    if (thread == 0) {
      x.store(1, relaxed);
      y.store(1, publish);
    } else {
      read[0] = y.load(look);
      read[1] = x.load(relaxed);
    }
  }
};

template <std::memory_order store, std::memory_order load>
struct IndependentReads : Litmus {
  static constexpr unsigned threads = 4;
  void run(unsigned thread) {
    switch (thread) {
      case 0:
        return x.store(1, store);
      case 1:
        return y.store(1, store);
      case 2:
        read[0] = x.load(load);
        read[1] = y.load(load);
        return;
      default:
        read[2] = y.load(load);
        read[3] = x.load(load);
    }
  }
};

/// Two threads store both words, in opposite orders. Both first stores may come last.
struct TwoWrites : Litmus {
  static constexpr unsigned threads = 2;
  void run(unsigned thread) {
    (thread == 0 ? x : y).store(1, relaxed);
    (thread == 0 ? y : x).store(2, relaxed);
  }
  void check() {
    read[0] = x.load();
    read[1] = y.load();
    Litmus::check();
  }
};

struct Coherence : Litmus {
  static constexpr unsigned threads = 2;
  void run(unsigned thread) {
    if (thread == 0) {
      x.store(1, relaxed);
      x.store(2, relaxed);
    } else {
      read[0] = x.load(relaxed);
      read[1] = x.load(relaxed);
    }
  }
};

struct Counter : Litmus {
  static constexpr unsigned threads = 3;
  void run(unsigned) { x.fetch_add(1, relaxed); }
  void check() {
    read[0] = x.load();
    Litmus::check();
  }
};

/// A read-modify-write in between keeps the release of the store that it read.
struct ReleaseSequence : Litmus {
  static constexpr unsigned threads = 3;
  void run(unsigned thread) {
    if (thread == 0) {
      x.store(1, relaxed);
      y.store(1, release);
    } else if (thread == 1) {
      y.fetch_add(1, relaxed);
    } else {
      read[0] = y.load(acquire);
      read[1] = x.load(relaxed);
    }
  }
};

/// Of who leaves and who comes, one sees the other: all four are sequentially consistent.
template <std::memory_order order>
struct Dekker : Litmus {
  static constexpr unsigned threads = 2;
  void run(unsigned thread) {
    (thread == 0 ? x : y).store(1, order);
    read[thread] = (thread == 0 ? y : x).load(order);
  }
};

struct Sleeper : Litmus {
  static constexpr unsigned threads = 2;
  void run(unsigned thread) {
    if (thread == 0) {
      Explorer::current().futex_wait(x.at(), 0);
    } else {
      x.store(1, relaxed);
      Explorer::current().futex_wake(x.at(), 1);
    }
  }
};

struct SleeperForgotten : Litmus {
  static constexpr unsigned threads = 2;
  void run(unsigned thread) {
    if (thread == 0) return Explorer::current().futex_wait(x.at(), 0);
    Explorer::current().futex_wake(x.at(), 1);
    x.store(1, relaxed);
  }
};

struct Spinner : Litmus {
  static constexpr unsigned threads = 2;
  void run(unsigned thread) {
    if (thread == 0) {
      while (x.load(relaxed) == 0) await_change();
    } else {
      x.store(1, relaxed);
    }
  }
};

struct SpinsForEver : Litmus {
  static constexpr unsigned threads = 2;
  void run(unsigned thread) {
    if (thread == 0) {
      while (x.load(relaxed) != 2) await_change();
    } else {
      x.store(1, relaxed);
    }
  }
};

struct Exclusive : Litmus {
  static constexpr unsigned threads = 3;
  Mutex mutex;
  void run(unsigned) {
    mutex.lock();
    x.store(x.load(relaxed) + 1, relaxed);
    mutex.unlock();
  }
  void check() {
    read[0] = x.load();
    Litmus::check();
  }
};

}  // namespace

TEST_CASE("store buffering: both may miss the other, unless there is a barrier on both sides") {
  for (const Model model : {Model::tso, Model::weak}) {
    CHECK(all_of<StoreBuffering<Between::nothing>>(model) == "00 01 10 11 ");
    CHECK(all_of<StoreBuffering<Between::fence>>(model) == "01 10 11 ");
    CHECK(all_of<StoreBuffering<Between::membarrier>>(model) == "01 10 11 ");
  }
}

TEST_CASE("message passing needs release and acquire, and x86 gives them to every access") {
  const std::string right = "00 01 11 ";
  const std::string wrong = "00 01 10 11 ";
  CHECK(all_of<MessagePassing<relaxed, relaxed>>(Model::tso) == right);
  CHECK(all_of<MessagePassing<relaxed, acquire>>(Model::weak) == wrong);
  CHECK(all_of<MessagePassing<release, relaxed>>(Model::weak) == wrong);
  CHECK(all_of<MessagePassing<release, acquire>>(Model::weak) == right);
}

TEST_CASE("two readers may see two stores in opposite orders, but for sequential consistency") {
  CHECK(has(all_of<IndependentReads<release, acquire>>(Model::weak), "1010"));
  CHECK_FALSE(has(all_of<IndependentReads<relaxed, seq_cst>>(Model::weak), "1010"));
  CHECK_FALSE(has(all_of<IndependentReads<seq_cst, seq_cst>>(Model::weak), "1010"));
  CHECK(all_of<IndependentReads<seq_cst, seq_cst>>(Model::weak).size() == 15 * 5);
  CHECK_FALSE(has(all_of<IndependentReads<relaxed, relaxed>>(Model::tso), "1010"));
  CHECK(all_of<IndependentReads<relaxed, relaxed>>(Model::tso).size() == 15 * 5);
}

TEST_CASE("stores to two words may come in opposite orders, but not on x86") {
  CHECK(all_of<TwoWrites>(Model::weak) == "11 12 21 22 ");
  CHECK(all_of<TwoWrites>(Model::tso) == "12 21 22 ");
}

TEST_CASE("one word is read in the order of its stores") {
  for (const Model model : {Model::tso, Model::weak}) {
    CHECK(all_of<Coherence>(model) == "00 01 02 11 12 22 ");
  }
}

TEST_CASE("read-modify-writes lose nothing, and go on with a release") {
  for (const Model model : {Model::tso, Model::weak}) {
    CHECK(all_of<Counter>(model) == "3 ");
    const std::string found = all_of<ReleaseSequence>(model);
    CHECK_FALSE(has(found, "20"));
    CHECK(has(found, "21"));
    CHECK(has(found, "10"));  // it read 0, and was not behind the release
  }
}

TEST_CASE("sequentially consistent accesses are a barrier between themselves") {
  for (const Model model : {Model::tso, Model::weak}) {
    CHECK(all_of<Dekker<seq_cst>>(model) == "01 10 11 ");
  }
  CHECK(has(all_of<Dekker<release>>(Model::tso), "00"));
}

TEST_CASE("with a bound on preemptions some outcomes are left out") {
  CHECK(all_of<StoreBuffering<Between::fence>>(Model::tso, 0) == "01 10 ");
  CHECK(all_of<StoreBuffering<Between::fence>>(Model::tso, 1) == "01 10 11 ");
}

TEST_CASE("a futex is woken by who stores before it wakes, and a wait that is lost is noticed") {
  for (const Model model : {Model::tso, Model::weak}) {
    Options options;
    options.model = model;
    const Result right = explore::explore<Sleeper>(options);
    CHECK(right.failure == "");
    CHECK(right.complete);
    const Result wrong = explore::explore<SleeperForgotten>(options);
    CHECK(wrong.failure.find("stuck") == 0);
    CHECK(wrong.trace.find("sleeps") != std::string::npos);
  }
}

TEST_CASE("one who looks again and again sees every store some day") {
  for (const Model model : {Model::tso, Model::weak}) {
    Options options;
    options.model = model;
    const Result right = explore::explore<Spinner>(options);
    CHECK(right.failure == "");
    CHECK(right.complete);
    CHECK(explore::explore<SpinsForEver>(options).failure.find("stuck") == 0);
  }
}

TEST_CASE("a mutex excludes, and hands on what was stored under it") {
  for (const Model model : {Model::tso, Model::weak}) CHECK(all_of<Exclusive>(model) == "3 ");
}

TEST_CASE("at random the same seed gives the same executions") {
  Options options;
  options.random_executions = 300;
  options.seed = 42;
  const Result one = explore::explore<SleeperForgotten>(options);
  const Result two = explore::explore<SleeperForgotten>(options);
  CHECK(one.failure.find("stuck") == 0);
  CHECK(one.trace == two.trace);
  CHECK(one.executions == two.executions);
}
