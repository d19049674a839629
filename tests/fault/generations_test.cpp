// A dead worker's successor starts anew: nothing that was written for one generation is ever taken
// for the next one's (P19, INV-7; FAULTS: F33, F35).
#include <sys/mman.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <sstream>

#include "contract/checks.hpp"
#include "lib/shm/arena_layout.hpp"

using namespace checks;

namespace {

std::vector<std::uint32_t> pattern(std::uint32_t seed, std::size_t words) {
  std::vector<std::uint32_t> v(words);
  for (std::size_t i = 0; i < words; ++i) v[i] = static_cast<std::uint32_t>(seed * 2654435761U + i);
  return v;
}

int same(int x) { return x; }
void die() { std::raise(SIGKILL); }

/// This worker's own segment. It is kept out of forked children; here one is to have it, so that it
/// can write to it after the worker's death, as late I/O would.
void* shared_with_children() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("pinion-worker") == std::string::npos || line.find("rw-s") == std::string::npos) {
      continue;
    }
    unsigned long begin = 0;
    unsigned long end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) != 2) continue;
    void* const memory = reinterpret_cast<void*>(begin);
    if (::madvise(memory, end - begin, MADV_DOFORK) == 0) return memory;
  }
  return nullptr;
}

/// Leaves a process behind that overwrites the worker's segment for `ms`, from that offset on, and
/// dies.
void die_with_late_writer(int ms, std::uint64_t from) {
  void* const memory = shared_with_children();
  if (memory == nullptr) ::_exit(99);
  const std::size_t bytes = std::size_t{4} << 20;
  if (::fork() == 0) {
    const auto end = Clock::now() + std::chrono::milliseconds(ms);
    // What has no pages is left alone: the file is sparse, and writing would fill it.
    std::vector<unsigned char> resident(bytes / 4096);
    while (Clock::now() < end) {
      ::mincore(memory, bytes, resident.data());
      for (std::size_t page = from / 4096; page < resident.size(); ++page) {
        if ((resident[page] & 1) == 0) continue;
        std::memset(static_cast<std::byte*>(memory) + page * 4096, 0xee, 4096);
      }
    }
    ::_exit(0);
  }
  std::raise(SIGKILL);
}

}  // namespace

namespace {

void check_late_writer(std::uint64_t from) {
  for (int round = 0; round < 3; ++round) {
    CheckedPool pool(pinion::PoolOptions{.processes = 1});
    CHECK(pool.apply(pattern, 1U, std::size_t{1000}) == pattern(1, 1000));
    const std::string text = error_of([&] { pool.apply(die_with_late_writer, 300, from); });
    REQUIRE(text.find("SIGKILL") != std::string::npos);
    const auto end = Clock::now() + 300ms;
    for (std::uint32_t i = 0; Clock::now() < end; ++i) {
      const std::size_t words = i % 3 == 0 ? 8 : i % 3 == 1 ? 100 : 20'000;
      bool as_computed = false;
      const std::string error =
          error_of([&] { as_computed = pool.apply(pattern, i, words) == pattern(i, words); });
      CAPTURE(error);
      REQUIRE(as_computed);
      CHECK(pool.map(same, numbers(50)) == numbers(50));
    }
    CHECK(pool.stats().deaths == 1);
    check_rest(pool);
    // The late writer is nobody's child of ours: it was the worker's.
    std::this_thread::sleep_for(50ms);
  }
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft,
                  "who still writes to a dead worker's memory does not reach its successor") {
  check_late_writer(0);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "who still writes to a dead worker's results does not reach its successor") {
  check_late_writer(pinion::shm::WorkerLayout{pinion::shm::Capacity{}}.results());
}

TEST_CASE_FIXTURE(NothingLeft,
                  "a result block of a dead worker is not given back to its successor") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  for (int round = 1; round <= 5; ++round) {
    // Large results stay in the worker's segment until their handles are dropped.
    std::vector<pinion::AsyncResult<std::vector<std::uint32_t>>> kept;
    for (std::uint32_t i = 0; i < 20; ++i) {
      kept.push_back(pool.apply_async(pattern, i, std::size_t{5000}));
    }
    for (auto& result : kept) REQUIRE(result.wait(10s));
    CHECK_THROWS_AS(pool.apply(die), pinion::WorkerLost);
    CHECK(pool.apply(same, round) == round);
    for (std::uint32_t i = 0; i < 20; i += 2) CHECK(kept[i].get() == pattern(i, 5000));
    kept.clear();
    for (std::uint32_t i = 0; i < 20; ++i) {
      CHECK(pool.apply(pattern, i, std::size_t{5000}) == pattern(i, 5000));
    }
    CHECK(pool.stats().deaths == static_cast<std::uint64_t>(round));
  }
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "positions go on over respawns: an old slot is never taken for a new one") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  int next = 0;
  for (int round = 1; round <= 30; ++round) {
    // Fewer, as many and more tasks than a ring has slots before each death.
    for (int i = 0; i < round * 7; ++i, ++next) REQUIRE(pool.apply(same, next) == next);
    CHECK_THROWS_AS(pool.apply(die), pinion::WorkerLost);
    CHECK(pool.workers()[0].generation >= static_cast<std::uint32_t>(round));
  }
  CHECK(pool.apply(same, -1) == -1);
  CHECK(pool.workers()[0].generation == 31);
  CHECK(pool.stats().deaths == 30);
  CHECK(pool.stats().respawns == 30);
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft, "what a busy worker is to be told waits for room in its ring") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  // More results that lie in the worker's segment than its ring has slots to give them back by.
  std::vector<pinion::AsyncResult<std::vector<std::uint32_t>>> kept;
  for (std::uint32_t i = 0; i < 6000; ++i) {
    kept.push_back(pool.apply_async(pattern, i, std::size_t{80}));
  }
  for (auto& result : kept) REQUIRE(result.wait(10s));
  auto busy = pool.apply_async([] { std::this_thread::sleep_for(300ms); });
  kept.clear();
  check_accounts(pool);
  std::vector<pinion::AsyncResult<int>> results;
  for (int i = 0; i < 50; ++i) results.push_back(pool.apply_async(same, i));
  check_accounts(pool);
  for (int i = 0; i < 50; ++i) CHECK(results[static_cast<std::size_t>(i)].get(5s) == i);
  busy.get();
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "more tasks than a worker has credits for wait, and none is overwritten") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  std::vector<pinion::AsyncResult<int>> results;
  auto slow = pool.apply_async([] { std::this_thread::sleep_for(100ms); });
  for (int i = 0; i < 20'000; ++i) results.push_back(pool.apply_async(same, i));
  for (int i = 0; i < 20'000; ++i) CHECK(results[static_cast<std::size_t>(i)].get(20s) == i);
  slow.get();
  check_rest(pool);
}
