// An allocation that fails in the manager comes out of the call that made it, and nothing else is
// harmed: the pool goes on, and what had arrived is handled by whoever looks next (P5).
#include <cstdlib>
#include <new>
#include <string>

#include "contract/checks.hpp"

using namespace checks;

namespace {

/// Allocations of this thread until one fails; negative: none does.
thread_local long allocations_left = -1;

bool fails_now() {
  if (allocations_left < 0) return false;
  return allocations_left-- == 0;
}

std::string text_of(std::size_t bytes) { return std::string(bytes, 'x'); }
int throws(int x) { throw std::runtime_error(std::string(200, static_cast<char>('a' + x % 26))); }
int same(int x) { return x; }
std::string text_of_item(int i) { return std::string(static_cast<std::size_t>(i % 400), 'y'); }

/// Calls `wait` with its n-th allocation failing, for n = 0, 1, ... until none fails. Returns how
/// many did.
template <class Make, class Wait>
int with_failing_allocations(Make make, Wait wait) {
  int failed = 0;
  for (long n = 0;; ++n) {
    auto result = make();
    allocations_left = n;
    bool thrown = false;
    try {
      wait(result);
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    const bool reached = allocations_left == -1;
    allocations_left = -1;
    REQUIRE(result.wait(10s));  // whatever happened, it ends
    if (!reached) return failed;
    failed += thrown ? 1 : 0;
  }
}

}  // namespace

void* operator new(std::size_t bytes) {
  if (!fails_now()) {
    if (void* const memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  }
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return fails_now() ? nullptr : std::malloc(bytes == 0 ? 1 : bytes);
}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#pragma GCC diagnostic pop

TEST_CASE_FIXTURE(NothingLeft,
                  "a result that cannot be kept for want of memory is kept by the next who looks") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  for (const std::size_t bytes : {std::size_t{150}, std::size_t{5000}, std::size_t{100'000}}) {
    const int failed = with_failing_allocations([&] { return pool.apply_async(text_of, bytes); },
                                                [](const auto& result) { result.wait(); });
    CHECK(failed > 0);
    CHECK(pool.apply(text_of, bytes) == text_of(bytes));
  }
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft, "an error that cannot be kept for want of memory likewise") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  const int failed = with_failing_allocations([&] { return pool.apply_async(throws, 3); },
                                              [](const auto& result) { result.wait(); });
  CHECK(failed > 0);
  CHECK_THROWS_AS(pool.apply(throws, 1), std::runtime_error);
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "items of a map that cannot be kept end with that error, and each ends once") {
  CheckedPool pool(pinion::PoolOptions{.processes = 2});
  for (const auto chunk : {pinion::Chunking::fixed(1), pinion::Chunking::fixed(20)}) {
    with_failing_allocations([&] { return pool.map_async(text_of_item, numbers(60), chunk); },
                             [](const auto& result) { result.wait(); });
    CHECK(pool.map(text_of_item, numbers(60), chunk).size() == 60);
  }
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "what is taken back from a worker that is busy for long is not lost on the way") {
  CheckedPool pool(pinion::PoolOptions{.processes = 2});
  const auto long_head = [](int i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(i == 0 ? 30 : 0));
    return i;
  };
  for (const auto chunk : {pinion::Chunking::fixed(1), pinion::Chunking::fixed(30)}) {
    with_failing_allocations([&] { return pool.map_async(long_head, numbers(60), chunk); },
                             [](const auto& result) { result.wait(); });
    CHECK(pool.map(long_head, numbers(60), chunk) == numbers(60));
  }
  CHECK(pool.stats().taken_back > 0);
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft, "a submit that fails for want of memory leaves nothing behind") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  pool.apply(same, 1);
  int failed = 0;
  for (long n = 0; n < 40; ++n) {
    const std::string text(10'000, 'z');
    allocations_left = n;
    try {
      auto result = pool.apply_async([](const std::string& s) { return s.size(); }, text);
      allocations_left = -1;
      CHECK(result.get(10s) == 10'000);
    } catch (const std::bad_alloc&) {
      allocations_left = -1;
      ++failed;
    }
  }
  CHECK(failed > 0);
  CHECK(pool.apply(same, 7) == 7);
  check_rest(pool);
}
