#include <doctest/doctest.h>
#include <pinion/detail/task_frame.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "lib/os/cpu.hpp"
#include "lib/ring/claim.hpp"
#include "tests/support/skipped.hpp"
#include "tests/unit/duel.hpp"

using namespace pinion;
using ring::Fencing;
using tests::Duel;

namespace {

/// What manager and worker share, in one process.
struct Shared {
  static constexpr std::size_t flights = 64;
  ring::ManagerLine manager{};
  ring::WorkerLine worker{};
  std::array<ring::Verdict, flights> verdicts{};

  ring::Verdict& verdict(std::uint64_t position) { return verdicts[position % flights]; }
  bool claim(std::uint64_t position, Fencing fencing) {
    return ring::claim(worker, manager, verdict(position), position, fencing);
  }
};

std::vector<Fencing> kinds() {
  if (os::register_membarrier()) return {Fencing::asymmetric, Fencing::symmetric};
  checks::skip("membarrier is not here, so fences only");
  return {Fencing::symmetric};
}

std::string name_of(Fencing fencing) {
  return fencing == Fencing::asymmetric ? "asymmetric" : "symmetric";
}

void short_pause(std::minstd_rand& random) {
  for (auto n = random() % 64; n > 32; --n) os::pause();
  if (random() % 4096 == 0) std::this_thread::yield();
}

/// Keeps the two sides close to each other, on however few cores: the worker waits now and then
/// until the manager has looked again.
class Pace {
 public:
  void looked() { looks_.fetch_add(1, std::memory_order_relaxed); }
  void wait_for_look() {
    while (looks_.load(std::memory_order_relaxed) == seen_) std::this_thread::yield();
    seen_ = looks_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> looks_{0};
  std::uint64_t seen_ = 0;  // the worker's own
};

}  // namespace

TEST_CASE("a task that nobody took back is taken up, and the worker says so") {
  Shared shared;
  for (std::uint64_t p = 0; p < 200; ++p) {
    CHECK(shared.claim(p, Fencing::symmetric));
    CHECK(shared.worker.claimed == p + 1);
  }
}

TEST_CASE("exactly what was revoked is refused") {
  Shared shared;
  for (const std::uint64_t p : {5U, 9U, 10U}) shared.verdict(p).revoked = p + 1;
  shared.manager.revoked_end = 11;
  for (std::uint64_t p = 0; p < 20; ++p) {
    CHECK(shared.claim(p, Fencing::symmetric) == (p != 5 && p != 9 && p != 10));
  }
  // The same flights later carry other tasks: what was said of the old ones means nothing.
  shared.manager.revoked_end = 1000;
  for (std::uint64_t p = 64; p < 84; ++p) CHECK(shared.claim(p, Fencing::symmetric));
}

TEST_CASE("nothing starts in an abandoned worker") {
  Shared shared;
  CHECK(shared.claim(7, Fencing::symmetric));
  shared.manager.revoked_end = ~std::uint64_t{0};
  for (std::uint64_t p = 8; p < 30; ++p) CHECK_FALSE(shared.claim(p, Fencing::symmetric));
}

TEST_CASE("limits and progress keep both of their numbers") {
  static_assert(ring::limit_of(0, 7, 100) == 100);
  static_assert(ring::limit_of(ring::pack_limit(7, 30), 7, 100) == 30);
  static_assert(ring::limit_of(ring::pack_limit(7, 0), 7, 100) == 0);
  static_assert(ring::limit_of(ring::pack_limit(7, 300), 7, 100) == 100);
  static_assert(ring::limit_of(ring::pack_limit(8, 30), 7, 100) == 100);
  static_assert(
      ring::limit_of(ring::pack_limit(std::uint64_t{1} << 40, 3), std::uint64_t{1} << 40, 9) == 3);
  constexpr std::uint64_t progress = ring::pack_progress(0xffff'fffe, 0xffff'ffff);
  static_assert(ring::items_done(progress) == 0xffff'fffe);
  static_assert(ring::items_started(progress) == 0xffff'ffff);
  for (const std::uint64_t p : {std::uint64_t{0}, std::uint64_t{0xffff'fffe},
                                std::uint64_t{0xffff'ffff}, ~std::uint64_t{5}}) {
    CHECK(ring::limit_of(ring::pack_limit(p, 0), p, 10) == 0);
    CHECK(ring::limit_of(ring::pack_limit(p, 4), p, 10) == 4);
    CHECK(ring::limit_of(ring::pack_limit(p, 4), p + 1, 10) == 10);
  }
}

TEST_CASE("a task that is claimed and revoked at once is not both") {
  constexpr std::uint64_t rounds = 20'000;
  for (const Fencing fencing : kinds()) {
    CAPTURE(name_of(fencing));
    Shared shared;
    bool runs = false;
    bool unstarted = false;
    std::uint64_t both = 0;
    std::uint64_t ran = 0;
    std::uint64_t back = 0;
    const auto work = [&](std::uint64_t p) {
      static_cast<void>(shared.manager.revoked_end.load(std::memory_order_relaxed));
      runs = shared.claim(p, fencing);
    };
    const auto revoke = [&](std::uint64_t p) {
      static_cast<void>(shared.worker.claimed.load(std::memory_order_relaxed));
      shared.verdict(p).revoked.store(p + 1, std::memory_order_relaxed);
      shared.manager.revoked_end.store(p + 1, std::memory_order_release);
      ring::rare_barrier(fencing);  // EDGE claim
      unstarted = p >= shared.worker.claimed.load(std::memory_order_acquire);
    };
    Duel().fight(rounds, work, revoke, [&](std::uint64_t) {
      both += runs && unstarted ? 1 : 0;
      ran += runs ? 1 : 0;
      back += unstarted ? 1 : 0;
    });
    CHECK(both == 0);
    CHECK(ran > 0);
    CHECK(back > 0);
  }
}

TEST_CASE("an item that starts while its chunk is cut is not taken back") {
  constexpr std::uint64_t rounds = 20'000;
  for (const Fencing fencing : kinds()) {
    CAPTURE(name_of(fencing));
    Shared shared;
    std::uint32_t starts = 0;
    std::uint32_t started = 0;
    std::uint64_t both = 0;
    std::uint64_t ran = 0;
    std::uint64_t back = 0;
    const auto work = [&](std::uint64_t p) {
      const detail::ChunkCursor cursor{&shared.worker.progress, &shared.verdict(p).limit,
                                       ring::limit_tag(p), 1, fencing == Fencing::asymmetric};
      static_cast<void>(shared.verdict(p).limit.load(std::memory_order_relaxed));
      starts = cursor.advance(0, 2);
    };
    const auto take_back = [&](std::uint64_t p) {
      static_cast<void>(shared.worker.progress.load(std::memory_order_relaxed));
      shared.verdict(p).limit.store(ring::pack_limit(p, 0), std::memory_order_release);
      ring::rare_barrier(fencing);  // EDGE progress
      started = ring::items_started(shared.worker.progress.load(std::memory_order_acquire));
    };
    Duel().fight(rounds, work, take_back, [&](std::uint64_t) {
      both += starts > started ? 1 : 0;
      ran += starts;
      back += started == 0 ? 1 : 0;
      shared.worker.progress.store(0);
    });
    CHECK(both == 0);
    CHECK(ran > 0);
    CHECK(back > 0);
  }
}

TEST_CASE("no task is both run and taken back") {
  constexpr std::uint64_t count = 200'000;
  constexpr std::uint64_t birth = (std::uint64_t{1} << 32) - count / 2;
  for (const Fencing fencing : kinds()) {
    CAPTURE(name_of(fencing));
    Shared shared;
    shared.worker.claimed = birth;
    enum Fate : std::uint8_t { none, run, skipped };
    std::vector<Fate> fates(count, none);
    std::vector<bool> taken(count, false);
    Pace pace;
    std::thread worker([&] {
      std::minstd_rand random(1);
      for (std::uint64_t p = birth; p < birth + count; ++p) {
        if (p % 8 == 0) pace.wait_for_look();
        fates[p - birth] = shared.claim(p, fencing) ? run : skipped;
        short_pause(random);
      }
    });
    std::minstd_rand random(2);
    std::uint64_t first = birth;  // of those that no round was about
    for (;;) {
      pace.looked();
      const std::uint64_t now = shared.worker.claimed.load(std::memory_order_relaxed);
      if (first > now + 8) {  // what was said of a flight stands until its task is claimed
        std::this_thread::yield();
        continue;
      }
      const std::uint64_t begin = std::max(first, now + random() % 3);
      const std::uint64_t end = std::min(begin + 1 + random() % 4, birth + count);
      if (begin >= birth + count) break;
      for (std::uint64_t p = begin; p < end; ++p) {
        shared.verdict(p).revoked.store(p + 1, std::memory_order_relaxed);
      }
      shared.manager.revoked_end.store(end, std::memory_order_release);
      ring::rare_barrier(fencing);  // EDGE claim
      const std::uint64_t claimed = shared.worker.claimed.load(std::memory_order_acquire);
      for (std::uint64_t p = begin; p < end; ++p) {
        if (p >= claimed) taken[p - birth] = true;
      }
      first = end;
      short_pause(random);
    }
    worker.join();
    std::uint64_t both = 0;
    std::uint64_t ran = 0;
    std::uint64_t back = 0;
    for (std::size_t i = 0; i < count; ++i) {
      both += taken[i] && fates[i] != skipped ? 1 : 0;
      ran += fates[i] == run ? 1 : 0;
      back += taken[i] ? 1 : 0;
    }
    CHECK(both == 0);
    CHECK(ran > 0);
    CHECK(back > 0);
  }
}

TEST_CASE("an abandoned worker starts nothing at or above what it had claimed") {
  constexpr int rounds = 5000;
  for (const Fencing fencing : kinds()) {
    CAPTURE(name_of(fencing));
    Shared shared;
    std::atomic<int> round{0};
    std::atomic<int> left{0};
    std::uint64_t ended = 0;  // position where the worker stopped
    std::thread worker([&] {
      std::uint64_t p = 0;
      for (int n = 1; n <= rounds; ++n) {
        while (round.load() < n) std::this_thread::yield();
        while (shared.claim(p, fencing)) ++p;
        ended = p;
        left = n;
      }
    });
    std::minstd_rand random(3);
    int wrong = 0;
    for (int n = 1; n <= rounds; ++n) {
      shared.manager.revoked_end.store(0);
      round = n;
      short_pause(random);
      shared.manager.revoked_end.store(~std::uint64_t{0}, std::memory_order_release);
      ring::rare_barrier(fencing);  // EDGE claim
      const std::uint64_t claimed = shared.worker.claimed.load(std::memory_order_acquire);
      while (left.load() < n) std::this_thread::yield();
      wrong += ended > claimed ? 1 : 0;
    }
    worker.join();
    CHECK(wrong == 0);
  }
}

TEST_CASE("a chunk's cursor goes to the end in strips, and stops at its own limit") {
  std::atomic<std::uint64_t> progress{0};
  std::atomic<std::uint64_t> limit{0};
  detail::ChunkCursor cursor{&progress, &limit, ring::limit_tag(7), 32, false};
  CHECK(cursor.advance(0, 100) == 32);
  CHECK(progress == ring::pack_progress(0, 32));
  CHECK(cursor.advance(96, 100) == 4);
  CHECK(progress == ring::pack_progress(96, 100));
  CHECK(cursor.advance(100, 100) == 0);
  limit = ring::pack_limit(7, 50);
  CHECK(cursor.advance(32, 100) == 18);
  CHECK(cursor.advance(50, 100) == 0);
  CHECK(cursor.advance(64, 100) == 0);
  limit = ring::pack_limit(7, 0);
  CHECK(cursor.advance(0, 100) == 0);
  limit = ring::pack_limit(7, 1000);
  CHECK(cursor.advance(96, 100) == 4);
  limit = ring::pack_limit(6, 0);  // another task's
  CHECK(cursor.advance(0, 100) == 32);
  cursor.strip = 1;
  CHECK(cursor.advance(0, 1) == 1);
}

namespace {

/// Manager: takes back the items of the chunk from `first` on, as far as they have not started.
/// Returns how many the worker keeps.
std::uint32_t cut(Shared& shared, std::uint64_t position, std::uint32_t first, std::uint32_t kept,
                  Fencing fencing) {
  shared.verdict(position).limit.store(ring::pack_limit(position, first),
                                       std::memory_order_release);
  ring::rare_barrier(fencing);  // EDGE progress
  if (shared.worker.chunk.load(std::memory_order_acquire) != position + 1) return kept;
  const std::uint64_t progress = shared.worker.progress.load(std::memory_order_acquire);
  // A worker that has gone on to its next chunk shows that one's progress.
  if (shared.worker.chunk.load(std::memory_order_acquire) != position + 1) return kept;
  return std::min(kept, std::max(first, ring::items_started(progress)));
}

}  // namespace

TEST_CASE("of a chunk that is cut while it runs each item is run or taken back, never both") {
  constexpr std::uint64_t chunks = 20'000;
  for (const Fencing fencing : kinds()) {
    CAPTURE(name_of(fencing));
    Shared shared;
    const auto count_of = [](std::uint64_t p) { return static_cast<std::uint32_t>(2 + p % 63); };
    std::vector<std::uint32_t> done(chunks, 0);
    std::vector<std::uint32_t> kept(chunks);
    for (std::uint64_t p = 0; p < chunks; ++p) kept[p] = count_of(p);
    const std::vector<std::uint32_t> whole = kept;
    std::vector<std::uint32_t> lowest = kept;  // limit that was ever set
    Pace pace;
    std::thread worker([&] {
      std::minstd_rand random(4);
      for (std::uint64_t p = 0; p < chunks; ++p) {
        constexpr std::uint32_t strips[] = {1, 1, 3, 32};
        const detail::ChunkCursor cursor{&shared.worker.progress, &shared.verdict(p).limit,
                                         ring::limit_tag(p), strips[p % 4],
                                         fencing == Fencing::asymmetric};
        shared.worker.progress.store(0, std::memory_order_release);
        shared.worker.chunk.store(p + 1, std::memory_order_release);
        while (const std::uint32_t n = cursor.advance(done[p], count_of(p))) {
          done[p] += n;
          for (auto i = random() % 40; i > 0; --i) os::pause();
          if (random() % 32 == 0) pace.wait_for_look();
        }
        shared.worker.chunk.store(0, std::memory_order_release);
      }
      shared.worker.chunk.store(chunks + 1, std::memory_order_release);
    });
    std::minstd_rand random(5);
    std::uint64_t cuts = 0;
    std::uint64_t seen = 0;
    for (;;) {
      pace.looked();
      const std::uint64_t progress = shared.worker.progress.load(std::memory_order_relaxed);
      if (progress == seen) std::this_thread::yield();  // it may want this core
      seen = progress;
      const std::uint64_t chunk = shared.worker.chunk.load(std::memory_order_acquire);
      if (chunk == chunks + 1) break;
      if (chunk == 0) continue;
      const std::uint64_t p = chunk - 1;
      const auto first = static_cast<std::uint32_t>(random() % (kept[p] + 1));
      const std::uint32_t now = cut(shared, p, first, kept[p], fencing);
      lowest[p] = std::min(lowest[p], first);
      cuts += now < kept[p] ? 1 : 0;
      kept[p] = now;
      short_pause(random);
    }
    worker.join();
    std::uint64_t both = 0;
    std::uint64_t early = 0;
    for (std::size_t p = 0; p < chunks; ++p) {
      both += done[p] > kept[p] ? 1 : 0;  // an item below `done` has run
      early += done[p] < lowest[p] ||
                       (kept[p] == whole[p] && lowest[p] == whole[p] && done[p] != whole[p])
                   ? 1
                   : 0;
    }
    CHECK(both == 0);
    CHECK(early == 0);
    CHECK(cuts > 0);
  }
}
