// What the tests that step workers share: tasks that leave a mark for each run, a worker that is
// busy all the time, and the pool around them.
#pragma once

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <pinion/pinion.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "contract/checks.hpp"
#include "fault/stepper.hpp"
#include "support/short_form.hpp"

namespace checks::steps {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

/// Whether not all points are visited, so that what happens at few of them may not be seen.
inline bool thinned() { return sanitized || short_form(); }

/// The points to visit. Sanitizers make many more of them: then some at random must do; and so must
/// some, evenly, in the short form.
inline std::vector<std::size_t> choose(const Trace& trace, std::size_t library_max,
                                       std::mt19937_64& random) {
  constexpr std::size_t sanitized_max = 300;
  constexpr std::size_t short_max = 30;
  auto points = trace.choose(short_form() ? 0 : library_max, random);
  if (short_form() && points.size() > short_max) {
    const std::size_t offset = random() % (points.size() / short_max);
    for (std::size_t i = 0; i < short_max; ++i) {
      points[i] = points[offset + i * (points.size() - offset) / short_max];
    }
    points.resize(short_max);
  } else if (sanitized && points.size() > sanitized_max) {
    std::shuffle(points.begin(), points.end(), random);
    points.resize(sanitized_max);
    std::sort(points.begin(), points.end());
  }
  return points;
}

/// Marks of tasks and items, by number. Seen by all processes, and not pinion's memory.
struct Marks {
  static constexpr std::size_t count = 64;
  struct Mark {
    std::atomic<int> starts;
    std::atomic<int> ends;
    std::atomic<pid_t> runner;
  };
  Mark of[count];
  std::atomic<int> bystander_leaves;

  void clear() {
    for (Mark& mark : of) {
      mark.starts = 0;
      mark.ends = 0;
      mark.runner = 0;
    }
  }
};
static_assert(std::atomic<int>::is_always_lock_free);

/// Mapped at its first use, which must be before the pool.
inline Marks& marks() {
  static Marks* const shared = [] {
    void* p =
        ::mmap(nullptr, sizeof(Marks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    return new (p) Marks{};
  }();
  return *shared;
}

inline void mark_start(int number) {
  Marks::Mark& mark = marks().of[number];
  mark.runner = ::getpid();
  ++mark.starts;
}
inline void mark_end(int number) { ++marks().of[number].ends; }

/// The one tracer of a program.
inline Stepper& stepper() {
  static Stepper one;
  return one;
}

/// Whether the test can run. Says why if it cannot.
inline bool can_step() {
  marks();
  static const std::string obstacle = stepper().obstacle();
  if (!obstacle.empty()) checks::skip(obstacle);
  return obstacle.empty();
}

/// What each case of these tests is run in: the tracer is there before what is left is counted.
struct StepTest {
  const bool can = can_step();
  const NothingLeft nothing;
};

inline pinion::PoolOptions two_sleepy_workers() {
  return {.processes = 2, .initializer = pinion::call(Stepper::allow), .idle = pinion::Idle::sleep};
}

/// Runs until it is told to leave; says whether memory was ever wrong in between.
inline bool keep_checking(int) {
  std::vector<std::uint32_t> numbers(4096);
  std::uint32_t round = 0;
  bool good = true;
  while (marks().bystander_leaves.load() == 0) {
    ++round;
    std::uint64_t expected = 0;
    for (std::uint32_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = i * 2654435761U + round;
      expected += numbers[i];
    }
    std::this_thread::sleep_for(1ms);
    std::uint64_t sum = 0;
    for (const std::uint32_t n : numbers) sum += n;
    good = good && sum == expected;
  }
  return good;
}

/// A worker that is busy all the while, which no other worker's fate may touch.
class Bystander {
 public:
  explicit Bystander(pinion::Pool& pool) : pool_(pool) {
    marks().bystander_leaves = 0;
    result_ = pool.apply_async(keep_checking_as, 63);
    REQUIRE(eventually([] { return marks().of[63].starts.load() == 1; }));
    pid_ = marks().of[63].runner;
  }
  ~Bystander() { marks().bystander_leaves = 1; }

  [[nodiscard]] pid_t pid() const { return pid_; }

  void leave() {
    CHECK_FALSE(result_.ready());
    marks().bystander_leaves = 1;
    CHECK(result_.get(10s));
    bool there = false;
    for (const auto& worker : pool_.workers()) there |= worker.pid == pid_;
    CHECK(there);
  }

 private:
  static bool keep_checking_as(int number) {
    mark_start(number);
    return keep_checking(number);
  }

  pinion::Pool& pool_;
  pinion::AsyncResult<bool> result_;
  pid_t pid_ = 0;
};

/// Waits for a worker that is ready and is not one of those.
inline pid_t other_worker(const pinion::Pool& pool, pid_t not_this, pid_t nor_that = 0) {
  pid_t found = 0;
  REQUIRE(eventually(
      [&] {
        for (const auto& worker : pool.workers()) {
          if (worker.state != pinion::WorkerInfo::State::ready || worker.pid == 0) continue;
          if (worker.pid != not_this && worker.pid != nor_that) found = worker.pid;
        }
        return found != 0;
      },
      20s));
  return found;
}

/// How an operation ended for whoever waits for it.
enum class End : char {
  elsewhere = 'E',  // with its result, from another worker
  lost = 'L',       // with `WorkerLost`
  here = 'V',       // with its result, from the worker in question
};

/// An operation of a worker, as its manager sees it. Marks are counted from 0.
struct Operation {
  std::string name;
  /// Brings a new worker into the state that the window begins in.
  std::function<void(pinion::Pool&)> warm;
  /// Submits, and returns what waits for the outcome and checks it.
  std::function<std::function<End(pid_t worker)>(pinion::Pool&)> submit;
  std::function<void()> at_end{};
  std::size_t library_points = 200;  // at most so many within libraries' code
};

/// Checks an error that says that this worker was killed.
inline void check_loss(const pinion::WorkerLost& lost, pid_t worker) {
  CHECK(lost.pid() == worker);
  CHECK(lost.status() == pinion::ExitStatus::signaled(SIGKILL));
  CHECK(lost.cause() == pinion::WorkerLost::Cause::death);
  CHECK(lost.phase() == pinion::WorkerLost::Phase::started);
}

/// Of a task with mark 0 that has ended with its result.
inline End end_with_result(pid_t worker) {
  const Marks::Mark& mark = marks().of[0];
  CHECK(mark.starts == 1);
  CHECK(mark.ends == 1);
  return mark.runner == worker ? End::here : End::elsewhere;
}

inline End end_with_loss(pid_t worker, const pinion::WorkerLost& lost) {
  check_loss(lost, worker);
  const Marks::Mark& mark = marks().of[0];
  CHECK(mark.starts <= 1);
  if (mark.starts == 1) CHECK(mark.runner == worker);
  return End::lost;
}

/// A single call: `good` checks its result. An error of the task's own is a result as well: it is
/// looked for in `error`.
template <class R>
Operation single(std::string name, std::function<pinion::AsyncResult<R>(pinion::Pool&)> submit,
                 std::function<bool(const R&)> good) {
  const auto check = [good](const pinion::AsyncResult<R>& result) {
    try {
      const R value = result.get(20s);
      CHECK(good(value));
    } catch (const std::out_of_range& refused) {
      CHECK(std::string(refused.what()).find("no 7") != std::string::npos);
    }
  };
  Operation operation;
  operation.name = std::move(name);
  operation.warm = [=](pinion::Pool& pool) {
    for (int i = 0; i < 2; ++i) check(submit(pool));
  };
  operation.submit = [=](pinion::Pool& pool) {
    return [check, result = submit(pool)](pid_t worker) {
      try {
        check(result);
        return end_with_result(worker);
      } catch (const pinion::WorkerLost& lost) {
        return end_with_loss(worker, lost);
      }
    };
  };
  return operation;
}

/// A map of one chunk, whose items mark their own numbers.
template <class R>
Operation chunk(std::string name,
                std::function<pinion::AsyncResult<std::vector<R>>(pinion::Pool&)> submit, int items,
                std::function<bool(int, const R&)> good) {
  const auto check = [good, items](const pinion::AsyncResult<std::vector<R>>& result) {
    const std::vector<R> values = result.get(20s);
    REQUIRE(values.size() == static_cast<std::size_t>(items));
    for (int i = 0; i < items; ++i) CHECK(good(i, values[static_cast<std::size_t>(i)]));
  };
  Operation operation;
  operation.name = std::move(name);
  operation.warm = [=](pinion::Pool& pool) {
    for (int i = 0; i < 2; ++i) check(submit(pool));
  };
  // Which item was lost, visit by visit: each once at least, and never an earlier one.
  const auto lost_items = std::make_shared<std::vector<int>>();
  operation.submit = [=](pinion::Pool& pool) {
    const auto before = pool.stats();
    return [=, &pool, result = submit(pool)](pid_t worker) {
      int lost_item = items;
      try {
        check(result);
      } catch (const pinion::WorkerLost& lost) {
        check_loss(lost, worker);
        REQUIRE(lost.item());
        lost_item = static_cast<int>(*lost.item());
        lost_items->push_back(lost_item);
      }
      const auto after = pool.stats();
      const bool lost = lost_item != items;
      CHECK(after.completed - before.completed == static_cast<std::uint64_t>(items - lost));
      CHECK(after.failed - before.failed == static_cast<std::uint64_t>(lost));
      const bool here = lost || marks().of[0].runner == worker;
      for (int i = 0; i < items; ++i) {
        CAPTURE(i);
        const Marks::Mark& mark = marks().of[i];
        if (i == lost_item) {
          CHECK(mark.starts <= 1);
          continue;
        }
        CHECK(mark.starts == 1);
        CHECK(mark.ends == 1);
        CHECK((mark.runner == worker) == (here && i < lost_item));
      }
      return lost ? End::lost : here ? End::here : End::elsewhere;
    };
  };
  operation.at_end = [=] {
    CHECK(std::is_sorted(lost_items->begin(), lost_items->end()));
    for (int i = 0; i < items && !thinned(); ++i) {
      CHECK(std::count(lost_items->begin(), lost_items->end(), i) > 0);
    }
  };
  return operation;
}

}  // namespace checks::steps
