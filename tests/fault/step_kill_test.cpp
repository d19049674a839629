// A worker that is killed after any one instruction of what it does with a task: from its sleep,
// over taking, claiming, running, placing and publishing the result and ringing the bell, to its
// next sleep (FAULTS: F1a, F21).
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "fault/step_scene.hpp"

using namespace checks;
using namespace checks::steps;
using pinion::Pool;

namespace {

int square(int x) {
  mark_start(0);
  const int result = x * x;
  mark_end(0);
  return result;
}

using Bytes = std::vector<std::uint8_t>;
/// Made before the pool, so that all there is to a result is copying it.
const Bytes& pattern() {
  static const Bytes bytes = [] {
    Bytes made(65536);
    for (std::size_t i = 0; i < made.size(); ++i) {
      made[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
    }
    return made;
  }();
  return bytes;
}
Bytes part(std::uint32_t size) {
  mark_start(0);
  Bytes bytes(pattern().data(), pattern().data() + size);
  mark_end(0);
  return bytes;
}
template <std::uint32_t size>
bool is_part(const Bytes& bytes) {
  return bytes.size() == size && std::equal(bytes.begin(), bytes.end(), pattern().begin());
}

[[noreturn]] int refuse(int x) {
  mark_start(0);
  mark_end(0);
  throw std::out_of_range("no " + std::to_string(x));
}

pinion::Task<int> square_later(int x) { co_return square(x); }

using Text = std::string;
std::uint64_t sum_of(const Text& text) {
  mark_start(0);
  std::uint64_t sum = 0;
  for (const char c : text) sum = sum * 31 + static_cast<unsigned char>(c);
  mark_end(0);
  return sum;
}
const Text& long_text() {
  static const Text text(40, 'x');
  return text;
}

constexpr int items = 6;
int square_item(int i) {
  mark_start(i);
  const int result = i * i;
  mark_end(i);
  return result;
}
constexpr int texts = 3;
Text text_item(int i) {
  mark_start(i);
  Text text(static_cast<std::size_t>(20 + 30 * i), static_cast<char>('a' + i));
  mark_end(i);
  return text;
}

struct Visit {
  End end;
  bool exact;  // false: the worker took another way than the one recorded
};

Visit visit(Pool& pool, const Bystander& bystander, const Operation& operation, const Trace& trace,
            std::size_t k, Stepper::Manager manager) {
  const pid_t worker = other_worker(pool, bystander.pid());
  operation.warm(pool);
  stepper().hold(worker);
  marks().clear();
  auto outcome = operation.submit(pool);
  stepper().begin(trace, k, Stepper::Then::kill, manager);
  std::optional<End> end;
  if (manager == Stepper::Manager::sleeps) end = outcome(worker);
  const bool exact = stepper().end();
  if (!end) end = outcome(worker);
  REQUIRE(eventually([&] { return !lives(worker); }, 20s));
  REQUIRE(other_worker(pool, bystander.pid(), worker) != 0);
  return {*end, exact};
}

/// An undisturbed window of a new worker, which is replaced.
Trace record(Pool& pool, const Bystander& bystander, const Operation& operation,
             Stepper::Manager manager) {
  const pid_t worker = other_worker(pool, bystander.pid());
  operation.warm(pool);
  stepper().hold(worker);
  marks().clear();
  auto outcome = operation.submit(pool);
  stepper().begin_record(manager);
  std::optional<End> end;
  if (manager == Stepper::Manager::sleeps) end = outcome(worker);
  Trace trace = stepper().end_record();
  if (!end) end = outcome(worker);
  CHECK((end == End::here));
  ::kill(worker, SIGKILL);
  other_worker(pool, bystander.pid(), worker);
  return trace;
}

void visit_all(const Operation& operation, Stepper::Manager manager) {
  CAPTURE(operation.name);
  auto random = seeded();
  CheckedPool pool(two_sleepy_workers());
  Bystander bystander(pool);
  const auto begin = Clock::now();

  // Twice the same, lest what was recorded is an exception.
  Trace trace = record(pool, bystander, operation, manager);
  std::uint64_t recorded = 1;
  for (int attempt = 0;; ++attempt) {
    REQUIRE(attempt < 10);
    ++recorded;
    Trace again = record(pool, bystander, operation, manager);
    if (again.same_way(trace)) break;
    trace = std::move(again);
  }
  const auto points = choose(trace, operation.library_points, random);
  std::string ends;
  std::uint64_t killed = 0;
  std::size_t astray = 0;
  for (const std::size_t k : points) {
    CAPTURE(k);
    bool exact = false;
    for (int attempt = 0; attempt < 3 && !exact; ++attempt, ++killed) {
      const Visit visited = visit(pool, bystander, operation, trace, k, manager);
      exact = visited.exact;
      if (exact) ends.push_back(static_cast<char>(visited.end));
      check_accounts(pool);
    }
    if (!exact) ++astray;
    const bool fixed = k == trace.at.size() || trace.ours[k];
    CHECK((exact || !fixed));
  }
  // Until it is claimed it runs elsewhere; from when it is published its result is there; between
  // the two it is lost. Nothing else, and in this order.
  const auto lost = ends.find('L');
  const auto here = ends.find('V');
  CAPTURE(ends);
  REQUIRE(lost != ends.npos);
  REQUIRE(here != ends.npos);
  CHECK(lost > 0);
  CHECK(ends.find_first_not_of('E') == lost);
  CHECK(ends.find_first_not_of('L', lost) == here);
  CHECK(ends.find_first_not_of('V', here) == ends.npos);

  if (operation.at_end) operation.at_end();
  bystander.leave();
  const auto stats = pool.stats();
  CHECK(stats.deaths == killed + recorded);
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::printf(
      "%s: %zu instructions; killed at %zu points, %zu elsewhere, %zu lost, %zu published; "
      "%zu "
      "of libraries not met again; %.1f s\n",
      operation.name.c_str(), trace.at.size(), points.size(), lost, here - lost, ends.size() - here,
      astray, took.count());
  std::fflush(stdout);
}

}  // namespace

TEST_CASE_FIXTURE(StepTest, "a small result") {
  if (!can) return;
  auto operation = single<int>(
      "small result", [](Pool& pool) { return pool.apply_async(square, 7); },
      [](int result) { return result == 49; });
  operation.library_points = ~std::size_t{0};  // every single one
  SUBCASE("nobody waits for") { visit_all(operation, Stepper::Manager::looks_away); }
  SUBCASE("for a manager that sleeps") { visit_all(operation, Stepper::Manager::sleeps); }
}

TEST_CASE_FIXTURE(StepTest, "a result of 1 KiB (edge case 62)") {
  if (!can) return;
  visit_all(single<Bytes>(
                "1 KiB", [](Pool& pool) { return pool.apply_async(part, 1024U); }, is_part<1024>),
            Stepper::Manager::looks_away);
}

TEST_CASE_FIXTURE(StepTest, "a result of 64 KiB") {
  if (!can || short_form()) return;  // recording the copy takes seconds
  visit_all(
      single<Bytes>(
          "64 KiB", [](Pool& pool) { return pool.apply_async(part, 65536U); }, is_part<65536>),
      Stepper::Manager::looks_away);
}

TEST_CASE_FIXTURE(StepTest, "arguments that lie in the arena") {
  if (!can) return;
  static const std::uint64_t expected = sum_of(long_text());
  visit_all(
      single<std::uint64_t>(
          "arguments of 48 bytes", [](Pool& pool) { return pool.apply_async(sum_of, long_text()); },
          [](std::uint64_t sum) { return sum == expected; }),
      Stepper::Manager::looks_away);
}

TEST_CASE_FIXTURE(StepTest, "a task with a time limit") {
  if (!can) return;
  visit_all(single<int>(
                "time limit",
                [](Pool& pool) {
                  return pool.apply_async({.timeout = std::chrono::hours(1)}, square, 7);
                },
                [](int result) { return result == 49; }),
            Stepper::Manager::looks_away);
}

TEST_CASE_FIXTURE(StepTest, "an exception") {
  if (!can) return;
  visit_all(single<int>(
                "exception", [](Pool& pool) { return pool.apply_async(refuse, 7); },
                [](int) { return false; }),
            Stepper::Manager::looks_away);
}

TEST_CASE_FIXTURE(StepTest, "a coroutine") {
  if (!can) return;
  visit_all(single<int>(
                "coroutine", [](Pool& pool) { return pool.apply_async(square_later, 7); },
                [](int result) { return result == 49; }),
            Stepper::Manager::looks_away);
}

TEST_CASE_FIXTURE(StepTest, "a chunk of a map, its values side by side") {
  if (!can) return;
  visit_all(
      chunk<int>(
          "chunk", [](Pool& pool) { return pool.map_async(square_item, numbers(items), items); },
          items, [](int i, int value) { return value == i * i; }),
      Stepper::Manager::looks_away);
}

TEST_CASE_FIXTURE(StepTest, "a chunk of a map, its values of several sizes") {
  if (!can) return;
  visit_all(chunk<Text>(
                "chunk of texts",
                [](Pool& pool) { return pool.map_async(text_item, numbers(texts), texts); }, texts,
                [](int i, const Text& value) {
                  return value ==
                         Text(static_cast<std::size_t>(20 + 30 * i), static_cast<char>('a' + i));
                }),
            Stepper::Manager::looks_away);
}
