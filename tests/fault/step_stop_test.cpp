// A worker that stops after any one instruction of what it does with a task, for as long as it
// likes: the manager hands out work, takes it back, cancels, drains and ends all the same, and when
// the worker goes on or dies nothing has run twice (FAULTS: F4, F21).
#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "fault/step_scene.hpp"

using namespace checks;
using namespace checks::steps;
using pinion::AsyncResult;
using pinion::Cancelled;
using pinion::Pool;
using pinion::PoolTerminated;
using pinion::WorkerLost;
using Then = Stepper::Then;

namespace {

constexpr int others = 4;    // tasks that come after the one in question, which has mark 0
constexpr int warm_up = 40;  // the mark of tasks before it

int work(int number) {
  mark_start(number);
  const int result = 3 * number + 1;
  mark_end(number);
  return result;
}

/// Tasks go to worker 0 if both are idle.
pinion::PoolOptions options() {
  auto made = two_sleepy_workers();
  made.placement = pinion::Placement::none();
  return made;
}

bool was_cancelled(const AsyncResult<int>& result) {
  try {
    static_cast<void>(result.get(20s));
  } catch (const Cancelled&) {
    return true;
  } catch (const std::exception&) {
  }
  return false;
}

pid_t ready_worker(const Pool& pool, unsigned index) {
  pid_t pid = 0;
  REQUIRE(eventually(
      [&] {
        const auto worker = pool.workers().at(index);
        pid = worker.state == pinion::WorkerInfo::State::ready ? worker.pid : 0;
        return pid != 0;
      },
      20s));
  return pid;
}

/// Worker 0 is warm, asleep, and held.
pid_t hold_first(Pool& pool, const std::function<void(Pool&)>& warm) {
  const pid_t worker = ready_worker(pool, 0);
  ready_worker(pool, 1);
  // Until what was taken back from it is answered, it does not count as idle.
  const auto end = Clock::now() + 20s;
  for (int in_a_row = 0; in_a_row < 2;) {
    REQUIRE(Clock::now() < end);
    warm(pool);
    in_a_row = marks().of[warm_up].runner == worker ? in_a_row + 1 : 0;
  }
  stepper().hold(worker);
  return worker;
}

void warm_task(Pool& pool) { REQUIRE(pool.apply(work, warm_up) == 3 * warm_up + 1); }

Trace record_task() {
  CheckedPool pool(options());
  hold_first(pool, warm_task);
  const auto result = pool.apply_async(work, 0);
  stepper().begin_record();
  Trace trace = stepper().end_record();
  CHECK(result.get(20s) == 1);
  return trace;
}

/// One letter a point, in order; each letter of `expected` at least once, and in that order.
void check_phases(const std::string& letters, const std::string& expected) {
  CAPTURE(letters);
  std::string seen;
  for (const char letter : letters) {
    if (seen.empty() || seen.back() != letter) seen.push_back(letter);
  }
  if (!thinned()) CHECK(seen == expected);
  std::size_t found = 0;
  for (const char phase : expected) found += found < seen.size() && seen[found] == phase;
  CHECK(found == seen.size());
}

void check_way(const Trace& trace, std::size_t k, bool exact, std::size_t& astray) {
  const bool fixed = k == trace.at.size() || trace.ours[k];
  CHECK((exact || !fixed));
  if (!exact) ++astray;
}

void report(const char* what, const Trace& trace, std::size_t points, std::size_t astray,
            Clock::time_point begin) {
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::printf(
      "%s: %zu instructions; stopped at %zu points; %zu of libraries not met again; "
      "%.1f s\n",
      what, trace.at.size(), points, astray, took.count());
  std::fflush(stdout);
}

/// What came after the task in question has run while its worker stood still: elsewhere, once.
void check_others(const std::vector<AsyncResult<int>>& results, pid_t worker) {
  for (int i = 0; i < others; ++i) {
    CAPTURE(i);
    REQUIRE(results[static_cast<std::size_t>(i)].wait(20s));
    const int number = i + 1;
    const int value = results[static_cast<std::size_t>(i)].get();
    CHECK(value == 3 * number + 1);
    CHECK(marks().of[number].starts == 1);
    CHECK(marks().of[number].runner != worker);
  }
}

constexpr std::size_t library_points = 300;  // more than a single task has

/// Every point once, and what the worker does then, at random.
template <class Visit>
void visit_all(const Trace& trace, const char* what, Visit&& visit) {
  auto random = seeded();
  const auto begin = Clock::now();
  const auto points = choose(trace, library_points, random);
  std::size_t astray = 0;
  for (const std::size_t k : points) {
    CAPTURE(k);
    visit(k, random() % 2 == 0 ? Then::kill : Then::stop, astray);
  }
  report(what, trace, points.size(), astray, begin);
}

/// Lets worker 0, which stands still, go on, or ends it.
void finish(const Pool& pool, pid_t worker, Then then) {
  REQUIRE(::kill(worker, then == Then::kill ? SIGKILL : SIGCONT) == 0);
  if (then == Then::stop) return;
  REQUIRE(eventually([&] { return pool.workers().at(0).pid != worker; }, 20s));
}

/// The task's end, once its worker goes on or is dead.
void check_end(const AsyncResult<int>& subject, pid_t worker, Then then) {
  try {
    const int value = subject.get(20s);
    CHECK(value == 1);
    CHECK(marks().of[0].starts == 1);
    CHECK(marks().of[0].runner == worker);
  } catch (const WorkerLost& lost) {
    CHECK((then == Then::kill));
    check_loss(lost, worker);
    CHECK(marks().of[0].starts <= 1);
  }
}

}  // namespace

TEST_CASE_FIXTURE(StepTest, "a stopped worker keeps the task that it has claimed, and no other") {
  if (!can) return;
  const Trace trace = record_task();
  CheckedPool pool(options());
  std::string letters;
  bool claimed = false;
  int starts_before = -1;  // of the task before, which must not have run since
  visit_all(trace, "dispatch and drain", [&](std::size_t k, Then then, std::size_t& astray) {
    const pid_t worker = hold_first(pool, warm_task);
    if (starts_before >= 0) CHECK(marks().of[0].starts == starts_before);
    marks().clear();
    const auto subject = pool.apply_async(work, 0);
    stepper().begin(trace, k, Then::stop);
    const bool exact = stepper().end();
    check_way(trace, k, exact, astray);
    std::vector<AsyncResult<int>> results;
    for (int i = 1; i <= others; ++i) results.push_back(pool.apply_async(work, i));
    check_others(results, worker);
    char letter = 'L';
    if (subject.ready()) {
      letter = marks().of[0].runner == worker ? 'V' : 'E';
    } else if (!claimed) {
      // Long only once: from here on it keeps the task.
      if (subject.wait(2s)) letter = 'E';
      claimed = letter == 'L' && exact;
    } else {
      CHECK_FALSE(subject.wait(1ms));
    }
    if (letter == 'E') {
      CHECK(subject.get() == 1);
      CHECK(marks().of[0].starts == 1);
      CHECK(marks().of[0].runner != worker);
    }
    if (exact) letters.push_back(letter);
    finish(pool, worker, then);
    if (letter != 'E') check_end(subject, worker, then);
    starts_before = marks().of[0].starts;
    check_accounts(pool);
  });
  check_phases(letters, "ELV");
}

TEST_CASE_FIXTURE(StepTest,
                  "what is cancelled while its worker stands still never runs, or had started") {
  if (!can) return;
  const Trace trace = record_task();
  CheckedPool pool(options());
  std::string letters;
  int starts_before = -1;
  visit_all(trace, "revoke", [&](std::size_t k, Then then, std::size_t& astray) {
    const pid_t worker = hold_first(pool, warm_task);
    if (starts_before >= 0) CHECK(marks().of[0].starts == starts_before);
    marks().clear();
    const auto subject = pool.apply_async(work, 0);
    stepper().begin(trace, k, Then::stop);
    const bool exact = stepper().end();
    check_way(trace, k, exact, astray);
    const bool cancelled = subject.cancel();
    const bool ended = subject.ready();
    if (exact) letters.push_back(cancelled ? 'C' : ended ? 'V' : 'L');
    finish(pool, worker, then);
    if (cancelled) {
      CHECK(ended);
      CHECK_THROWS_AS(subject.get(), Cancelled);
      CHECK(marks().of[0].starts == 0);
    } else if (!was_cancelled(subject)) {
      check_end(subject, worker, then);
    } else {  // it was not known, and it had not started
      CHECK(marks().of[0].starts == 0);
    }
    starts_before = marks().of[0].starts;
    check_accounts(pool);
  });
  check_phases(letters, "CLV");
}

TEST_CASE_FIXTURE(StepTest, "a pool ends while a worker stands still, wherever") {
  if (!can) return;
  const Trace trace = record_task();
  std::string letters;
  visit_all(trace, "the pool's end", [&](std::size_t k, Then, std::size_t& astray) {
    CheckedPool pool(options());
    const pid_t worker = hold_first(pool, warm_task);
    marks().clear();
    const auto subject = pool.apply_async(work, 0);
    stepper().begin(trace, k, Then::stop);
    const bool exact = stepper().end();
    check_way(trace, k, exact, astray);
    if (k % 2 == 0) {
      pool.close();
      CHECK_FALSE(pool.join(1ms));
      finish(pool, worker, Then::stop);
    } else {
      pool.terminate();
    }
    REQUIRE(pool.join(20s));
    REQUIRE(subject.ready());
    try {
      const int value = subject.get();
      CHECK(value == 1);
      CHECK(marks().of[0].starts == 1);
      if (exact && k % 2 != 0) letters.push_back('V');
    } catch (const PoolTerminated&) {
      CHECK(k % 2 != 0);
      CHECK(marks().of[0].starts <= 1);
      if (exact) letters.push_back('T');
    }
  });
  check_phases(letters, "TV");
}

namespace {

constexpr int items = 3;

int starts_of_items() {
  int sum = 0;
  for (int i = 0; i < items; ++i) {
    CHECK(marks().of[i].starts <= 1);
    sum += marks().of[i].starts;
  }
  return sum;
}
int ends_of_items() {
  int sum = 0;
  for (int i = 0; i < items; ++i) sum += marks().of[i].ends;
  return sum;
}

void warm_chunk(Pool& pool) {
  const std::vector<int> given = {warm_up, warm_up + 1, warm_up + 2};
  REQUIRE(pool.map(work, given, items).size() == items);
}

Trace record_chunk() {
  CheckedPool pool(options());
  hold_first(pool, warm_chunk);
  const auto result = pool.map_async(work, numbers(items), items);
  stepper().begin_record();
  Trace trace = stepper().end_record();
  CHECK(result.get(20s).size() == items);
  return trace;
}

void check_values(const std::vector<int>& values) {
  REQUIRE(values.size() == items);
  for (int i = 0; i < items; ++i) CHECK(values[static_cast<std::size_t>(i)] == 3 * i + 1);
}

}  // namespace

TEST_CASE_FIXTURE(
    StepTest, "what a stopped worker has not started of its chunk runs elsewhere, the rest once") {
  if (!can) return;
  const Trace trace = record_chunk();
  CheckedPool pool(options());
  std::uint64_t moved = 0;
  int starts_before = -1;
  visit_all(trace, "a chunk moves", [&](std::size_t k, Then then, std::size_t& astray) {
    const pid_t worker = hold_first(pool, warm_chunk);
    if (starts_before >= 0) CHECK(starts_of_items() == starts_before);
    marks().clear();
    const auto before = pool.stats();
    const auto subject = pool.map_async(work, numbers(items), items);
    stepper().begin(trace, k, Then::stop);
    check_way(trace, k, stepper().end(), astray);
    subject.wait(2ms);
    moved += pool.stats().taken_back != before.taken_back;
    finish(pool, worker, then);
    bool lost = false;
    try {
      check_values(subject.get(20s));
    } catch (const WorkerLost& loss) {
      lost = true;
      CHECK((then == Then::kill));
      check_loss(loss, worker);
      REQUIRE(loss.item());
      CHECK(*loss.item() < items);
    }
    const auto after = pool.stats();
    CHECK(after.failed - before.failed == static_cast<std::uint64_t>(lost));
    CHECK(after.completed - before.completed == static_cast<std::uint64_t>(items - lost));
    starts_before = starts_of_items();
    CHECK(starts_before >= items - lost);
    CHECK(ends_of_items() >= items - lost);
    check_accounts(pool);
  });
  std::printf("taken back at %llu of them\n", static_cast<unsigned long long>(moved));
  CHECK(moved > 0);
}

TEST_CASE_FIXTURE(
    StepTest, "a map that is cancelled while a worker stands in its chunk starts nothing more") {
  if (!can) return;
  const Trace trace = record_chunk();
  CheckedPool pool(options());
  std::string letters;
  int starts_before = -1;
  visit_all(trace, "a chunk is cut", [&](std::size_t k, Then then, std::size_t& astray) {
    const pid_t worker = hold_first(pool, warm_chunk);
    if (starts_before >= 0) CHECK(starts_of_items() == starts_before);
    marks().clear();
    const auto before = pool.stats();
    const auto subject = pool.map_async(work, numbers(items), items);
    stepper().begin(trace, k, Then::stop);
    const bool exact = stepper().end();
    check_way(trace, k, exact, astray);
    const int started = starts_of_items();
    const bool cancelled = subject.cancel();
    const bool ended = subject.ready();
    if (exact) letters.push_back(cancelled ? 'C' : ended ? 'V' : 'L');
    finish(pool, worker, then);
    REQUIRE(subject.wait(20s));
    int lost = 0;
    try {
      check_values(subject.get());
    } catch (const Cancelled&) {
      CHECK_FALSE((ended && !cancelled));
    } catch (const WorkerLost& loss) {
      lost = 1;
      CHECK((then == Then::kill));
      check_loss(loss, worker);
    }
    starts_before = starts_of_items();
    if (cancelled) CHECK(starts_before == 0);
    const auto after = pool.stats();
    const auto completed = static_cast<int>(after.completed - before.completed);
    CHECK(after.failed - before.failed == static_cast<std::uint64_t>(items - completed));
    if (then == Then::kill) {
      CHECK(completed <= ends_of_items());
      CHECK(ends_of_items() - completed <= lost);
    } else {
      CHECK(completed == ends_of_items());
    }
    // It may have been on its way into one.
    CHECK(starts_before <= started + 1);
    check_accounts(pool);
  });
  // Between its claim and its first look at how far it may go nobody can tell.
  check_phases(letters, "CLCLV");
}
