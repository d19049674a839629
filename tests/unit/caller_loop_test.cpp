// The loop of a caller: entries of a pool without workers end in other threads while its coroutines
// await them, beside timers and pipes.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <pinion/pinion.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include "lib/pool/caller_loop.hpp"
#include "support/seed.hpp"
#include "tests/unit/workerless.hpp"

using namespace pinion;
using namespace pinion::tests;
using namespace std::chrono_literals;
using detail::EntryHandle;
using detail::LedgerEntry;

namespace {

/// As EntryAwaiter, for a pool without a core.
class Ended final : public detail::PoolAwaiter {
 public:
  Ended(Workerless& pool, EntryHandle handle) : pool_(pool), handle_(std::move(handle)) {}
  ~Ended() {
    if (loop_ == nullptr || woken_) return;
    {
      const pool::Locked lock(pool_.state);
      detail::Side* const side = handle_.entry().side;
      if (side != nullptr) std::erase(side->watches, loop_->watch_of(*this));
    }
    loop_->forget(*this);
  }
  bool await_ready() {
    prepare();
    return handle_.entry().done();
  }
  bool await_suspend(std::coroutine_handle<> waiter) {
    const detail::Watch watch = pool::CallerLoop::require_current().expect(*this, pool_.turns);
    {
      const pool::Locked lock(pool_.state);
      if (handle_.entry().done()) return false;
      pool::Settler::side_of(handle_.entry()).watches.push_back(watch);
    }
    begin(waiter);
    return true;
  }
  std::uint64_t await_resume() {
    finish();
    return value_of(handle_.entry());
  }

 private:
  Workerless& pool_;
  EntryHandle handle_;
};

Task<std::uint64_t> ended(Workerless& pool, EntryHandle handle) {
  co_return co_await Ended(pool, std::move(handle));
}

std::vector<EntryHandle> open_entries(Workerless& pool, std::size_t count) {
  std::vector<EntryHandle> handles;
  for (std::size_t i = 0; i < count; ++i) handles.emplace_back(&pool.open());
  return handles;
}

/// Ends the entries in their order, with their numbers, at random moments.
void settle_all(Workerless& pool, const std::vector<EntryHandle>& handles, unsigned seed) {
  std::minstd_rand random(seed);
  for (std::size_t i = 0; i < handles.size(); ++i) {
    if (random() % 20 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
    pool.settle_value(handles[i].entry(), i);
  }
}

/// So that the last handle finds nothing that only a core could give back.
void drop_sides(Workerless& pool, const std::vector<EntryHandle>& handles) {
  for (const EntryHandle& handle : handles) {
    const pool::Locked lock(pool.state);
    delete pool.settler.detach(handle.entry());
  }
}

void check_peace(Workerless& pool) {
  CHECK(pool.state.counters.late_wakeups == 0);
  CHECK(pool.state.baton.holder() == pool::Baton::Holder::nobody);
  CHECK_FALSE(pool.state.baton.wanted());
  CHECK(pool.state.unserved == 0);
}

}  // namespace

TEST_CASE("entries that end in another thread wake the coroutines that await them") {
  Workerless pool;
  const auto handles = open_entries(pool, 3000);
  std::thread settling([&] { settle_all(pool, handles, 1); });
  auto in_turn = [](Workerless& p, const std::vector<EntryHandle>& all) -> Task<std::uint64_t> {
    std::uint64_t right = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::uint64_t value = co_await Ended(p, all[i]);
      right += value == i ? 1 : 0;
    }
    co_return right;
  };
  CHECK(pinion::run(in_turn(pool, handles)) == handles.size());
  settling.join();
  check_peace(pool);
  drop_sides(pool, handles);
}

TEST_CASE("two loops and a thread that waits share a pool; coroutines give up at any moment") {
  Workerless pool;
  const auto seed = static_cast<unsigned>(checks::seed());
  const auto handles = open_entries(pool, 1500);
  auto all = [](Workerless& p, const std::vector<EntryHandle>& entries,
                unsigned number) -> Task<int> {
    auto one = [](Workerless& q, EntryHandle handle, std::uint64_t right,
                  unsigned us) -> Task<int> {
      bool expired = false;
      if (us < 1000) {
        try {
          (void)co_await with_timeout(std::chrono::microseconds(us), ended(q, handle));
        } catch (const TaskTimeout&) {
          expired = true;
        }
        if (expired) co_await yield();
      }
      const std::uint64_t value = co_await Ended(q, std::move(handle));
      co_return value == right ? 0 : 1;
    };
    std::minstd_rand random(number);
    std::vector<Task<int>> tasks;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      tasks.push_back(one(p, entries[i], i, static_cast<unsigned>(random() % 2000)));
    }
    int wrong = 0;
    const auto results = co_await when_all(std::move(tasks));
    for (const int result : results) wrong += result;
    co_return wrong;
  };
  std::array<int, 2> wrong{-1, -1};
  std::atomic<int> late{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] { wrong[t] = pinion::run(all(pool, handles, seed + t)); });
  }
  threads.emplace_back([&] {
    for (std::size_t i = 0; i < handles.size(); i += 7) {
      late += pool.turns.wait_for(handles[i].entry(), os::now_ns() + 6 * far_ns) ? 0 : 1;
    }
  });
  settle_all(pool, handles, seed);
  for (auto& thread : threads) thread.join();
  CHECK(wrong[0] == 0);
  CHECK(wrong[1] == 0);
  CHECK(late == 0);
  check_peace(pool);
  drop_sides(pool, handles);
}

TEST_CASE("two pools, a timer and a pipe in one loop") {
  Workerless one;
  Workerless two;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const auto first = open_entries(one, 400);
  const auto second = open_entries(two, 400);
  std::thread settling([&] { settle_all(one, first, 3); });
  std::thread also_settling([&] { settle_all(two, second, 4); });
  std::thread writing([&] {
    for (int i = 0; i < 100; ++i) {
      std::this_thread::sleep_for(100us);
      REQUIRE(::write(ends[1], "x", 1) == 1);
    }
  });
  auto all = [&](int fd) -> Task<std::uint64_t> {
    auto sum = [](Workerless& p, const std::vector<EntryHandle>& entries) -> Task<std::uint64_t> {
      std::uint64_t total = 0;
      for (const EntryHandle& handle : entries) total += co_await Ended(p, handle);
      co_return total;
    };
    auto read_all = [](int from) -> Task<std::uint64_t> {
      std::uint64_t bytes = 0;
      while (bytes < 100) {
        std::array<std::byte, 10> buffer{};
        bytes += co_await io::read(from, std::span(buffer));
      }
      co_return bytes;
    };
    auto tick = []() -> Task<std::uint64_t> {
      for (int i = 0; i < 50; ++i) co_await sleep_for(200us);
      co_return 50;
    };
    auto [a, b, c, d] = co_await when_all(sum(one, first), sum(two, second), read_all(fd), tick());
    co_return a + b + c + d;
  };
  CHECK(pinion::run(all(ends[0])) == 2 * (399 * 400 / 2) + 100 + 50);
  settling.join();
  also_settling.join();
  writing.join();
  check_peace(one);
  check_peace(two);
  drop_sides(one, first);
  drop_sides(two, second);
  ::close(ends[0]);
  ::close(ends[1]);
}
