// Live workers that write nonsense into all that they can write, and try what they cannot (FAULTS:
// F27, F35, P9, P18). Whatever it is: the manager goes on, and the siblings do not notice; see
// liars_test.cpp for lies that were thought of. tests/fuzz does the same in one process, with
// millions of programs.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <pinion/pinion.hpp>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "tests/fault/bystander.hpp"
#include "tests/fault/scribbler.hpp"

using namespace checks;
using namespace checks::scribbler;
using namespace pinion;

namespace {

/// Random bytes everywhere, and every so often what could be a message.
int scribble(std::uint64_t seed, int ms) {
  const Area own = own_area();
  std::mt19937_64 random(seed);
  const auto until = Clock::now() + std::chrono::milliseconds(ms);
  while (Clock::now() < until) {
    for (int i = 0; i < 2000; ++i) {
      const std::uint64_t value = random() >> random() % 64;
      // Half of it where the manager looks most.
      const std::size_t range = random() % 2 == 0 ? committed : own_layout.results();
      std::memcpy(own.begin + random() % (range - 8), &value, sizeof value);
      const std::uint64_t slot = random() % capacity.ring_slots;
      const std::uint64_t sequence = slot + 1 + random() % 2 * capacity.ring_slots;
      std::memcpy(own.begin + own_layout.result_ring() + slot * 64, &sequence, sizeof sequence);
    }
    Liar().ring_manager();
  }
  return 1;
}

/// Random words in all bells.
void scribble_bells(std::uint64_t seed, int ms) {
  const Area bells = bell_area();
  std::mt19937 random(static_cast<unsigned>(seed));
  const auto until = Clock::now() + std::chrono::milliseconds(ms);
  while (Clock::now() < until) {
    for (std::size_t at = sizeof(shm::SegmentHeader); at < bells.bytes; at += 4) {
      const auto word = static_cast<std::uint32_t>(random() >> random() % 32);
      std::memcpy(bells.begin + at, &word, sizeof word);
    }
    if (random() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
  }
}
/// Everybody is awake, it says, whoever sleeps.
void say_all_awake() {
  const Area bells = bell_area();
  std::this_thread::sleep_for(20ms);
  std::memset(bells.begin + sizeof(shm::SegmentHeader), 0,
              bells.bytes - sizeof(shm::SegmentHeader));
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft,
                  "a worker that overwrites all its memory for seconds harms nobody else") {
  if (rings_are_shared()) return;
  const std::uint64_t seed = checks::seed();
  HarmedPool pool(PoolOptions{.processes = workers});
  Bystander bystander(pool);
  const auto until = Clock::now() + 4s;
  unsigned right = 0;
  for (std::uint64_t round = 0; Clock::now() < until; ++round) {
    const auto scribbler = pool.apply_async(scribble, seed + round, 300);
    std::vector<AsyncResult<int>> others;
    while (!scribbler.ready()) {
      for (int i = 0; i < 20; ++i) others.push_back(pool.apply_async(square, i));
      for (std::size_t i = 0; i < others.size(); ++i) {
        const int n = static_cast<int>(i);
        // Those that were in the scribbler's hands are lost.
        if (const auto got = value_unless_lost(others[i], 30s)) {
          CHECK(*got == n * n);
          ++right;
        }
      }
      others.clear();
    }
    await_end(scribbler);
    check_accounts(pool);
  }
  CHECK(right > 100);
  CHECK(pool.stats().protocol_breaches > 0);
  CHECK(bystander.gets_on());
  bystander.leave();
  check_work(pool);
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "a worker that overwrites the bells makes others late, and no more") {
  const std::uint64_t seed = checks::seed();
  Pool pool(PoolOptions{.processes = workers});  // late wake-ups are what comes of it
  const auto scribbler = pool.apply_async(scribble_bells, seed, 1500);
  unsigned rounds = 0;
  while (!scribbler.ready()) {
    check_work(pool);
    ++rounds;
  }
  CHECK(rounds > 0);
  scribbler.get(30s);
  // Whatever the words say now, who sleeps is found by the backstops.
  check_work(pool);
  pool.apply(say_all_awake);
  for (int i = 0; i < 3; ++i) CHECK(pool.apply(square, i) == i * i);
  check_work(pool);
  CHECK(pool.stats().protocol_breaches == 0);
  CHECK(pool.stats().deaths == 0);
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft, "the manager's memory cannot be written by a worker, by no means") {
  HarmedPool pool(PoolOptions{.processes = workers});
  const auto refused = [](int means) {
    const Area area = manager_area();
    constexpr std::size_t page = 4096;
    // By name, as the system shows it to those who may: descriptors of its own a worker has none.
    const auto open_again = [&] {
      char path[64];
      std::snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx",
                    reinterpret_cast<unsigned long>(area.begin),
                    reinterpret_cast<unsigned long>(area.begin + area.bytes));
      return ::open(path, O_RDWR | O_CLOEXEC);
    };
    switch (means) {
      case 0:
        return ::mprotect(area.begin, page, PROT_READ | PROT_WRITE) != 0;
      case 1:
        return ::madvise(area.begin, page, MADV_REMOVE) != 0;
      default:
        break;
    }
    const int fd = open_again();
    if (fd < 0) return true;
    bool no = true;
    switch (means) {
      case 2:
        no = ::ftruncate(fd, 0) != 0;
        break;
      case 3:
        no = ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page) != 0;
        break;
      case 4: {
        void* const p = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        no = p == MAP_FAILED;
        break;
      }
      case 5:
        no = ::pwrite(fd, "x", 1, 0) != 1;
        break;
      case 6:
        no = ::ftruncate(fd, static_cast<off_t>(area.bytes + page)) != 0;
        break;
      default:
        break;
    }
    ::close(fd);
    return no;
  };
  for (int means = 0; means < 7; ++means) {
    CAPTURE(means);
    CHECK(pool.apply(refused, means));
  }
  const auto writes = pool.apply_async([] { *manager_area().begin = std::byte{1}; });
  try {
    writes.get(30s);
    FAIL("a worker wrote into the manager's memory");
  } catch (const WorkerLost& lost) {
    // A sanitizer's handler exits in its own way.
    const bool signalled = lost.status() == ExitStatus::signaled(SIGSEGV) ||
                           lost.status() == ExitStatus::signaled(SIGABRT);
    CHECK((signalled || lost.status().kind == ExitStatus::Kind::exited));
  }
  check_work(pool);
  check_rest(pool);
}
