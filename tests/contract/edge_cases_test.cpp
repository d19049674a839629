// What other pools get wrong and no other test here is about.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::Pool;
using pinion::PoolOptions;
using pinion::TaskOptions;

namespace {

std::unique_ptr<Pool> kept_pool;  // as a program's global object is
Pool* pool_of_the_test = nullptr;

int square(int x) { return x * x; }
int value_of(const std::shared_ptr<int>& x) { return *x; }

void leave_by_exit() { std::exit(3); }

std::string call_own_pool(int x) {
  if (pool_of_the_test == nullptr) return "none here";
  return std::to_string(pool_of_the_test->apply(square, x));
}

void terminate_own_pool() {
  if (pool_of_the_test != nullptr) pool_of_the_test->terminate();
}

pinion::Task<int> compute_or_wait(int x) {
  if (x == 0) {
    const auto end = std::chrono::steady_clock::now() + 400ms;
    while (std::chrono::steady_clock::now() < end) {
    }
  }
  co_await pinion::sleep_for(1ms);
  co_return x;
}

std::uint64_t random_by_index(int) {
  std::mt19937_64 random(pinion::this_task::index());
  if (pinion::this_task::attempt() == 1 && pinion::this_task::index() % 7 == 3) {
    throw std::runtime_error("once more");
  }
  return random();
}

}  // namespace

TEST_CASE("arguments are let go by the submit, results with their last handle (edge case 24)") {
  CheckedPool pool(1);
  const auto argument = std::make_shared<int>(5);
  {
    auto result = pool.apply_async(value_of, argument);
    CHECK(argument.use_count() == 1);
    CHECK(result.get() == 5);
  }
  {
    std::vector<std::shared_ptr<int>> items(100, argument);
    auto result = pool.map_async(value_of, items);
    items.clear();
    CHECK(result.get().size() == 100);
  }
  CHECK(argument.use_count() == 1);
  std::weak_ptr<int> seen;
  {
    auto result = pool.apply_async([](int x) { return std::make_shared<int>(x); }, 7);
    const std::shared_ptr<int>& value = result.get();
    seen = value;
    CHECK(*value == 7);
  }
  CHECK(seen.expired());
}

TEST_CASE("a worker that calls exit takes no other pool along (edge cases 27, 28)") {
  if (left_out("it would end the program")) return;
  NothingLeft nothing;
  kept_pool = std::make_unique<Pool>(1u);
  {
    // Its workers may have the other pool's object, which exit would destroy if it were theirs.
    CheckedPool pool(PoolOptions{.processes = 1});
    CHECK_THROWS_AS(pool.apply(leave_by_exit), pinion::WorkerLost);
    CHECK(pool.apply(square, 3) == 9);
  }
  CHECK(kept_pool->apply(square, 4) == 16);
  kept_pool.reset();
}

TEST_CASE("a pool that is ended by the end of the program ends in peace (edge case 45)") {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    static Pool pool(2);
    std::exit(pool.apply(square, 3) == 9 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a task that calls its own pool is told, and does not wait for ever (edge case 57)") {
  pool_of_the_test = nullptr;
  alignas(Pool) static std::byte memory[sizeof(Pool)];
  pool_of_the_test = reinterpret_cast<Pool*>(memory);  // so that workers have it
  new (memory) Pool(1u);
  std::string found;
  try {
    found = pool_of_the_test->apply(call_own_pool, 3);
  } catch (const std::exception& e) {
    found = e.what();
  }
  CAPTURE(found);
  const bool told = found == "none here" || found.find("forked child") != std::string::npos ||
                    found.find("waits for something of its own pool") != std::string::npos;
  CHECK(told);
  pool_of_the_test->~Pool();
  pool_of_the_test = nullptr;
}

TEST_CASE("a task that terminates what it takes for its pool harms nobody (edge case 44)") {
  if (left_out("it is its pool")) return;
  alignas(Pool) static std::byte memory[sizeof(Pool)];
  pool_of_the_test = reinterpret_cast<Pool*>(memory);
  new (memory) Pool(1u);
  pool_of_the_test->apply(terminate_own_pool);
  CHECK(pool_of_the_test->apply(square, 5) == 25);
  pool_of_the_test->~Pool();
  pool_of_the_test = nullptr;
}

TEST_CASE("coroutines behind one that computes without a pause run elsewhere (edge case 58)") {
  if (left_out("nothing runs elsewhere", runs_in_place())) return;
  CheckedPool pool(PoolOptions{.processes = 2});
  auto first = pool.apply_async(compute_or_wait, 0);
  std::vector<pinion::AsyncResult<int>> others;
  for (int i = 1; i <= 40; ++i) others.push_back(pool.apply_async(compute_or_wait, i));
  pinion::wait_all(others);
  CHECK_FALSE(first.ready());
  for (int i = 1; i <= 40; ++i) CHECK(others[static_cast<std::size_t>(i) - 1].get() == i);
  CHECK(first.get() == 0);
}

TEST_CASE("results are the same whatever the workers, chunks and retries (edge case 76)") {
  std::vector<std::uint64_t> expected;
  for (unsigned i = 0; i < 300; ++i) expected.push_back(std::mt19937_64(i)());
  for (const unsigned workers : {1U, 2U, 5U}) {
    CheckedPool pool(PoolOptions{.processes = workers});
    for (const int chunk : {1, 10, 300}) {
      CAPTURE(workers);
      CAPTURE(chunk);
      CHECK(pool.map(TaskOptions{.retries = 1}, random_by_index, numbers(300), chunk) == expected);
    }
  }
}
