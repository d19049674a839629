// F1b, P1 to P4, P7: workers are killed, stopped and continued at random while work of every kind
// flows. PINION_STORM_SECONDS says how long (10 by default).
#include <doctest/doctest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <string>

#include "tests/contract/checks.hpp"
#include "tests/fault/killer.hpp"
#include "tests/fault/storm_load.hpp"
#include "tests/fault/workers.hpp"

using namespace checks;
using namespace checks::storm;
using pinion::WorkerLost;

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool memory_is_measurable = false;  // freed memory is kept for a while
#else
constexpr bool memory_is_measurable = true;
#endif

std::chrono::milliseconds length() {
  const char* text = std::getenv("PINION_STORM_SECONDS");
  const double seconds = text != nullptr ? std::atof(text) : 10;
  return std::chrono::milliseconds(static_cast<int>(seconds * 1000));
}

/// What has become of what was submitted. Single calls are counted one by one; of a map that failed
/// the pool says how many items were lost.
struct Outcomes {
  std::uint64_t items = 0;   // submitted
  std::uint64_t values = 0;  // of single calls and of maps that succeeded
  std::uint64_t lost_singles = 0;
  std::uint64_t failed_maps = 0;
  std::uint64_t failed_map_items = 0;  // all items of such maps
  std::vector<std::string> wrong;

  void add(const Outcomes& other) {
    items += other.items;
    values += other.values;
    lost_singles += other.lost_singles;
    failed_maps += other.failed_maps;
    failed_map_items += other.failed_map_items;
    wrong.insert(wrong.end(), other.wrong.begin(), other.wrong.end());
  }
};

/// Hands work in and takes its results, a bounded number at a time.
class Submitter {
 public:
  Submitter(pinion::Pool& pool, std::uint64_t seed, std::uint64_t first_item,
            std::uint64_t items_end)
      : pool_(pool), random_(seed), next_item_(first_item), items_end_(items_end) {}

  void run(Clock::time_point end) {
    while (Clock::now() < end && next_item_ + 2000 < items_end_) {
      submit_one();
      while (open_.size() > 200) settle();
    }
    while (!open_.empty()) settle();
  }
  [[nodiscard]] const Outcomes& outcomes() const { return outcomes_; }

 private:
  void settle() {
    open_.front()();
    open_.pop_front();
  }

  std::uint64_t take(std::uint64_t n) {
    outcomes_.items += n;
    next_item_ += n;
    return next_item_ - n;
  }

  void expect(bool holds, const char* what, std::uint64_t item) {
    if (!holds && outcomes_.wrong.size() < 20) {
      outcomes_.wrong.push_back(std::string(what) + ", item " + std::to_string(item));
    }
  }

  /// Nothing may stay away for so long: what the pool says of itself then.
  void expect_no_timeout(std::uint64_t item) {
    const auto stats = pool_.stats();
    std::string text = "no outcome after 20 s; pending " + std::to_string(stats.pending) +
                       ", deaths " + std::to_string(stats.deaths) + ", respawns " +
                       std::to_string(stats.respawns) + "; workers (pid, state, process):";
    for (const auto& worker : pool_.workers()) {
      const auto found = process(worker.pid);
      text += " (" + std::to_string(worker.pid) + ", " +
              std::to_string(static_cast<int>(worker.state)) + ", " + (found ? found->state : '-') +
              ")";
    }
    std::fprintf(stderr, "%s\n", text.c_str());
    expect(false, text.c_str(), item);
  }

  /// Later: one value that `right` accepts, or WorkerLost.
  template <class R, class Right>
  void keep_single(pinion::AsyncResult<R> result, std::uint64_t item, Right right) {
    open_.push_back([this, result = std::move(result), item, right]() mutable {
      try {
        expect(right(std::move(result).get(20s)), "a damaged value", item);
        ++outcomes_.values;
        expect(starts[item] == 1, "a value, and not one start", item);
      } catch (const WorkerLost&) {
        ++outcomes_.lost_singles;
        expect(starts[item] <= 1, "lost, and more than one start", item);
      } catch (const pinion::WaitTimeout&) {
        expect_no_timeout(item);
      } catch (const std::exception& e) {
        expect(false, e.what(), item);
      }
    });
  }

  /// Later: all values, or WorkerLost of one of the items.
  template <class R, class Right>
  void keep_map(pinion::AsyncResult<std::vector<R>> result, std::uint64_t first, std::uint64_t n,
                Right right) {
    open_.push_back([this, result = std::move(result), first, n, right]() mutable {
      try {
        const std::vector<R> values = std::move(result).get(20s);
        expect(values.size() == n, "a map of the wrong length", first);
        for (std::uint64_t i = 0; i < values.size(); ++i) {
          expect(right(values[i], first + i), "a damaged value in a map", first + i);
          expect(starts[first + i] == 1, "a value in a map, and not one start", first + i);
        }
        outcomes_.values += n;
      } catch (const WorkerLost& lost) {
        ++outcomes_.failed_maps;
        outcomes_.failed_map_items += n;
        expect(lost.item() && *lost.item() < n, "a map that lost no item of its own", first);
        for (std::uint64_t i = 0; i < n; ++i) {
          expect(starts[first + i] <= 1, "more than one start in a map", first + i);
        }
      } catch (const pinion::WaitTimeout&) {
        expect_no_timeout(first);
      } catch (const std::exception& e) {
        expect(false, e.what(), first);
      }
    });
  }

  std::vector<Stamped> stamped(std::uint64_t first, std::uint64_t n) {
    std::vector<Stamped> items(n);
    for (std::uint64_t i = 0; i < n; ++i) items[i] = Stamped::of(first + i);
    return items;
  }

  template <class F>
  void submit_single(F f) {
    const std::uint64_t item = take(1);
    keep_single(pool_.apply_async(f, Stamped::of(item)), item,
                [item](const Stamped& out) { return out.whole() && out.item == item; });
  }

  template <class F>
  void submit_map(F f, std::uint64_t n, pinion::Chunking chunking) {
    const std::uint64_t first = take(n);
    keep_map(
        pool_.map_async(f, stamped(first, n), chunking), first, n,
        [](const Stamped& out, std::uint64_t item) { return out.whole() && out.item == item; });
  }

  void submit_text_map(std::uint64_t n, pinion::Chunking chunking) {
    const std::uint64_t first = take(n);
    keep_map(pool_.map_async(texts, stamped(first, n), chunking), first, n,
             [](const std::string& out, std::uint64_t item) { return out == text_of(item); });
  }

  void submit_large() {
    const std::uint64_t item = take(1);
    const std::size_t words = random_() % 3 == 0 ? random_() % (1 << 16) : random_() % 2000;
    keep_single(pool_.apply_async(large, Block::of(item, words)), item,
                [item, words](const Block& out) {
                  return out.whole() && out.item == item && out.words.size() == words;
                });
  }

  void submit_one() {
    const std::uint64_t n = 1 + random_() % 500;
    const int chunk = static_cast<int>(1 + random_() % 40);
    switch (random_() % 16) {
      case 0:
        return submit_map(small, n, {});
      case 1:
        return submit_map(small, n, chunk);
      case 2:
        return submit_text_map(n, {});
      case 3:
        return submit_text_map(n, chunk);
      case 4:
        return submit_map(naps, 1 + n % 50, {});
      case 5:
        return submit_map(naps, 1 + n % 50, chunk);
      case 6:
      case 7:
        return submit_large();
      case 8:
      case 9:
        return submit_single(pipes);
      case 10:
      case 11:
        return submit_single(naps);
      case 12:
        return submit_single(slow);
      default:
        return submit_single(small);
    }
  }

  pinion::Pool& pool_;
  std::mt19937_64 random_;
  std::uint64_t next_item_;
  std::uint64_t items_end_;
  std::deque<std::function<void()>> open_;
  Outcomes outcomes_;
};

/// What a process holds while its pool is at rest.
struct Holdings {
  std::size_t descriptors = entries_of("/proc/self/fd");
  std::size_t threads = entries_of("/proc/self/task");
  std::size_t arena = arena_mappings();
  std::size_t processes = children().size();
  long locked_kib = field_of("/proc/self/status", "VmLck");
  bool operator==(const Holdings&) const = default;
};

long private_kib() {
  ::malloc_trim(0);
  return field_of("/proc/self/status", "RssAnon");
}

/// Until nothing is pending and everybody works: a worker may have died that the pool still counts.
void wait_for_rest(pinion::Pool& pool) {
  check_rest(pool);
  REQUIRE(eventually(
      [&] {
        const auto workers = pids(pool);
        return all_ready(pool) && std::all_of(workers.begin(), workers.end(), lives) &&
               children().size() == workers.size() + 1;  // and the nursery
      },
      20s));
}

/// Everybody works again, with nothing left of those before.
void check_at_rest(pinion::Pool& pool, const Holdings& before) {
  wait_for_rest(pool);
  CHECK(eventually([&] { return Holdings() == before; }));
  const Holdings now;
  CHECK(now.descriptors == before.descriptors);
  CHECK(now.threads == before.threads);
  CHECK(now.arena == before.arena);
  CHECK(now.processes == before.processes);
  CHECK(now.locked_kib == before.locked_kib);
}

Outcomes run_storm(pinion::Pool& pool, std::mt19937_64& random, std::chrono::milliseconds time,
                   std::uint64_t first_item, std::uint64_t items_end) {
  constexpr unsigned submitters = 2;
  const std::uint64_t share = (items_end - first_item) / submitters;
  std::vector<std::unique_ptr<Submitter>> all;
  for (unsigned i = 0; i < submitters; ++i) {
    const std::uint64_t first = first_item + i * share;
    all.push_back(std::make_unique<Submitter>(pool, random(), first, first + share));
  }
  Killer killer(pool, random());
  const auto end = Clock::now() + time;
  std::vector<std::thread> threads;
  for (auto& one : all) threads.emplace_back([&one, end] { one->run(end); });
  for (std::thread& thread : threads) thread.join();
  const auto counts = killer.stop();
  Outcomes sum;
  for (const auto& one : all) sum.add(one->outcomes());
  std::printf(
      "%.1f s: %llu items, %llu values, %llu single calls lost, %llu maps of %llu items "
      "lost some; %llu kills, %llu stops, %llu continues\n",
      static_cast<double>(time.count()) / 1000, static_cast<unsigned long long>(sum.items),
      static_cast<unsigned long long>(sum.values),
      static_cast<unsigned long long>(sum.lost_singles),
      static_cast<unsigned long long>(sum.failed_maps),
      static_cast<unsigned long long>(sum.failed_map_items),
      static_cast<unsigned long long>(counts.kills), static_cast<unsigned long long>(counts.stops),
      static_cast<unsigned long long>(counts.continues));
  std::fflush(stdout);
  for (const std::string& what : sum.wrong) FAIL_CHECK(what);
  CHECK(sum.items == sum.values + sum.lost_singles + sum.failed_map_items);
  return sum;
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft,
                  "in a storm everything submitted ends once, whole or lost, and nothing is left") {
  auto random = seeded();
  {
    CheckedPool pool(2);
    const std::uint64_t warm_items = starts.size() / 16;
    // First a short one, so that what is made once, and kept, is there.
    Outcomes sum = run_storm(pool, random, 1500ms, 0, warm_items);
    wait_for_rest(pool);
    const Holdings before;
    const long kib_before = private_kib();

    sum.add(run_storm(pool, random, length(), warm_items, starts.size()));
    check_at_rest(pool, before);
    const long kib = private_kib();
    std::printf("private memory: %ld KiB before, %ld KiB after\n", kib_before, kib);
    if (memory_is_measurable) CHECK(kib < kib_before + (16 << 10));

    const auto stats = pool.stats();
    CHECK(stats.accepted == sum.items);
    CHECK(stats.pending == 0);
    CHECK(stats.completed + stats.failed == sum.items);
    // Each failed map has lost an item, and none more than it has.
    CHECK(stats.failed >= sum.lost_singles + sum.failed_maps);
    CHECK(stats.failed <= sum.lost_singles + sum.failed_map_items);
    CHECK(stats.deaths > 0);
    CHECK(stats.late_wakeups == 0);
    CHECK(stats.protocol_breaches == 0);
    for (int i = 0; i < 100; ++i) {
      const auto item = Stamped::of(static_cast<std::uint64_t>(i));
      CHECK(pool.apply([](Stamped in) { return in; }, item).whole());
    }
  }
}
