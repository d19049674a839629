// Shared arrays: what both sides write, how long it lives, and what it may take.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <limits>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;
using pinion::SharedArray;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr std::size_t page = 4096;

/// What the pool's arrays hold, beyond what it holds without any.
class Held {
 public:
  explicit Held(pinion::Pool& pool) : pool_(pool), before_(pool.stats().arena_bytes) {}
  [[nodiscard]] std::size_t bytes() const { return pool_.stats().arena_bytes - before_; }
  [[nodiscard]] bool becomes(std::size_t bytes) const {
    return eventually([&] { return this->bytes() == bytes; });
  }

 private:
  pinion::Pool& pool_;
  std::size_t before_;
};

double sum(SharedArray<double> a) {
  double total = 0;
  for (const double x : a) total += x;
  return total;
}
void fill(SharedArray<double> a, double value) {
  for (double& x : a) x = value;
}
SharedArray<double> itself(SharedArray<double> a) { return a; }

SharedArray<int> kept;  // by a worker, from one task to the next
void keep(SharedArray<int> a) { kept = std::move(a); }
int first_of_kept() { return kept.empty() ? -1 : kept[0]; }
SharedArray<int> give_kept() { return kept; }

struct Grid {
  std::string name;
  SharedArray<double> cells;
};
struct Scale {
  SharedArray<double> data;
  double by = 1;
  void operator()(int i) const { data[static_cast<std::size_t>(i)] *= by; }
};

}  // namespace

TEST_CASE("both sides see what the other has written, and an array begins as zeros") {
  CheckedPool pool(2);
  SharedArray<double> a(pool, 1000);
  CHECK(a.size() == 1000);
  CHECK(pool.apply(sum, a) == 0.0);
  a[0] = 1;
  a[999] = 2;
  CHECK(pool.apply(sum, a) == 3.0);
  pool.apply(fill, a, 0.5);
  CHECK(a[0] == 0.5);
  CHECK(a[999] == 0.5);
  for (const double s : pool.broadcast(sum, a)) CHECK(s == 500.0);
}

TEST_CASE("an array made again at the same place is zeros again") {
  CheckedPool pool(1);
  const double* first = nullptr;
  for (int i = 0; i < 20; ++i) {
    SharedArray<double> a(pool, 4096);
    if (i == 0) first = a.data();
    CHECK(a.data() == first);
    CHECK(pool.apply(sum, a) == 0.0);
    CHECK(a[4095] == 0.0);
    pool.apply(fill, a, 1.0);
  }
}

TEST_CASE("arrays travel as results, as members, in containers, and empty") {
  CheckedPool pool(2);
  SharedArray<double> a(pool, 10);
  a[3] = 42;
  CHECK(pool.apply(itself, a) == a);
  CHECK(pool.apply(itself, SharedArray<double>()).empty());
  SharedArray<double> none(pool, 0);
  CHECK(pool.apply(itself, none).empty());
  const auto named = [](Grid g) { return Grid{g.name + "!", g.cells}; };
  const Grid back = pool.apply(named, Grid{"x", a});
  CHECK(back.name == "x!");
  CHECK(back.cells == a);
  const auto sums = [](const std::vector<SharedArray<double>>& all) {
    double total = 0;
    for (const auto& one : all) total += sum(one);
    return total;
  };
  CHECK(pool.apply(sums, std::vector{a, a, SharedArray<double>()}) == 84.0);
  CHECK(pool.map(sum, std::vector{a, a}) == std::vector<double>{42, 42});
  const auto pairs = std::vector{std::tuple{a, 1.0}};
  pool.starmap(fill, pairs);
  CHECK(a[9] == 1.0);
  std::vector<double> streamed;
  for (const double s : pool.imap(sum, std::vector{a, a, a})) streamed.push_back(s);
  CHECK(streamed == std::vector<double>{10, 10, 10});
  pool.map(Scale{a, 3.0}, numbers(10));
  CHECK(a[0] == 3.0);
  CHECK(a[9] == 3.0);
}

TEST_CASE("a lambda captures the view of an array") {
  CheckedPool pool(2);
  SharedArray<int> a(pool, 1000);
  const auto v = a.view();
  pool.map([v](int i) { v[static_cast<std::size_t>(i)] = 2 * i; }, numbers(1000));
  for (std::size_t i = 0; i < a.size(); ++i) REQUIRE(a[i] == 2 * static_cast<int>(i));
  // An array that is made after the workers were, and after the first was used.
  SharedArray<int> b(pool, 1000);
  pool.map(
      [v, w = b.view()](int i) {
        const auto at = static_cast<std::size_t>(i);
        w[at] = v[at] + 1;
      },
      numbers(1000));
  CHECK(b[999] == 1999);
  std::atomic_ref(a[0]).store(0);
  pool.map([v](int) { std::atomic_ref(v[0]).fetch_add(1); }, numbers(2000), 10);
  CHECK(a[0] == 2000);
}

TEST_CASE("a coroutine task has its array until it ends") {
  CheckedPool pool(1);
  Held held(pool);
  auto result = [&] {
    SharedArray<double> a(pool, 1000);
    a[0] = 7;
    return pool.apply_async(
        [](SharedArray<double> mine) -> pinion::Task<double> {
          co_await pinion::sleep_for(20ms);
          co_return mine[0];
        },
        a);
  }();
  CHECK(result.get() == 7.0);
  result = {};
  CHECK(held.becomes(0));
}

TEST_CASE("an array lives while a task uses it, though the last handle is dropped") {
  CheckedPool pool(1);
  Held held(pool);
  std::vector<pinion::AsyncResult<double>> results;
  const auto slow_sum = [](SharedArray<double> a) {
    std::this_thread::sleep_for(1ms);
    return sum(a);
  };
  for (int i = 0; i < 20; ++i) {
    SharedArray<double> a(pool, mib / sizeof(double));
    a[17] = i;
    results.push_back(pool.apply_async(slow_sum, a));
  }
  CHECK(held.bytes() >= mib);
  for (std::size_t i = 0; i < results.size(); ++i) {
    CHECK(results[i].get() == static_cast<double>(i));
  }
  CHECK(held.bytes() == 20 * mib);  // what a result may name stays as long as the result
  results.clear();
  CHECK(held.becomes(0));
}

TEST_CASE("dropped results and streams give back the arrays that their tasks named") {
  CheckedPool pool(2);
  Held held(pool);
  for (int i = 0; i < 50; ++i) {
    SharedArray<double> a(pool, 1000);
    pool.apply_async(fill, a, 1.0);
    pool.map_async(sum, std::vector{a, a});
    pool.apply_async([](const std::vector<SharedArray<double>>& all) { return all.size(); },
                     std::vector(5, a));
  }
  {
    SharedArray<double> a(pool, 1000);
    auto stream = pool.imap(itself, std::vector(100, a));
    CHECK(stream.next() == a);
  }
  CHECK(held.becomes(0));
}

TEST_CASE("a result names an array when no other handle is left") {
  CheckedPool pool(1);
  Held held(pool);
  auto result = [&] {
    SharedArray<double> a(pool, 5);
    a[4] = 9;
    return pool.apply_async(itself, std::move(a));
  }();
  result.wait();
  SharedArray<double> back = std::move(result).get();
  CHECK(back[4] == 9.0);
  CHECK(held.bytes() == page);
  result = {};
  back = {};
  CHECK(held.bytes() == 0);
  auto stream = pool.imap(itself, std::vector{SharedArray<double>(pool, 5)});
  auto streamed = stream.next();
  REQUIRE(streamed);
  CHECK(streamed->size() == 5);
}

TEST_CASE("an array that a worker keeps lives on, and can be named again") {
  CheckedPool pool(1);
  Held held(pool);
  {
    SharedArray<int> a(pool, 1000);
    a[0] = 5;
    pool.apply(keep, a);
  }
  CHECK(held.bytes() == page);
  {
    SharedArray<int> other(pool, 1000);  // somebody looks again, and finds it held
    other[0] = 6;
  }
  CHECK(held.bytes() == page);
  CHECK(pool.apply(first_of_kept) == 5);
  const SharedArray<int> back = pool.apply(give_kept);
  CHECK(back[0] == 5);
  pool.apply(keep, SharedArray<int>());
  CHECK(back[0] == 5);
}

TEST_CASE("what a worker alone had goes with it") {
  if (left_out("workers cannot be killed")) return;
  CheckedPool pool(1);
  Held held(pool);
  pool.apply(keep, SharedArray<int>(pool, 1000));
  CHECK(held.bytes() == page);
  CHECK_THROWS_AS(pool.apply([] { std::raise(SIGKILL); }), pinion::WorkerLost);
  CHECK(held.becomes(0));
  CHECK(pool.apply(first_of_kept) == -1);
}

TEST_CASE("a worker dies with an array in hand; its successor uses it") {
  if (left_out("workers cannot be killed")) return;
  NothingLeft nothing;
  CheckedPool pool(1);
  Held held(pool);
  SharedArray<int> a(pool, 1000);
  for (int i = 0; i < 5; ++i) {
    const auto die = [](SharedArray<int> mine, int value) {
      mine[0] = value;
      std::raise(SIGKILL);
    };
    CHECK_THROWS_AS(pool.apply(die, a, i), pinion::WorkerLost);
    CHECK(a[0] == i);
    pool.apply([v = a.view()] { v[1] = v[0] + 1; });
    CHECK(a[1] == i + 1);
  }
  CHECK(held.bytes() == page);
  a = {};
  CHECK(held.bytes() == 0);
}

TEST_CASE("a handle outlives its pool") {
  NothingLeft nothing;
  SharedArray<int> a;
  pinion::AsyncResult<SharedArray<int>> result;
  {
    CheckedPool pool(2);
    a = SharedArray<int>(pool, 100000);
    pool.map([v = a.view()](int i) { v[static_cast<std::size_t>(i)] = i; }, numbers(100000));
    result = pool.apply_async([](SharedArray<int> b) { return b; }, a);
    result.wait();
  }
  CHECK(a[99999] == 99999);
  CHECK(result.get() == a);
  a = {};
  CHECK(result.get()[5] == 5);
}

TEST_CASE("the last handle goes while the pool ends, and while it is terminated") {
  NothingLeft nothing;
  for (const bool terminate : {false, true}) {
    CheckedPool pool(2);
    SharedArray<double> a(pool, 1000);
    for (int i = 0; i < 100; ++i) pool.apply_async(fill, a, 1.0);
    a = {};
    if (terminate) pool.terminate();
  }
}

TEST_CASE("arrays count against arena_bytes, and what is given back can be had again") {
  CheckedPool pool(PoolOptions{.processes = 1, .arena_bytes = 64 * mib});
  Held held(pool);
  for (int round = 0; round < 3; ++round) {
    std::vector<SharedArray<char>> all;
    std::string error;
    while (error.empty()) {
      error = error_of([&] { all.emplace_back(pool, 8 * mib); });
    }
    CHECK(error.find("PoolOptions::arena_bytes") != std::string::npos);
    CHECK(error.find(std::to_string(8 * mib)) != std::string::npos);
    CHECK_THROWS_AS(SharedArray<char>(pool, 8 * mib), pinion::ResourceError);
    CHECK(all.size() == 7);
    CHECK(held.bytes() == 7 * 8 * mib);
    CHECK(pool.stats().arena_bytes <= 64 * mib);
  }
  CHECK(held.bytes() == 0);
}

TEST_CASE("sizes beyond all bounds are errors") {
  CheckedPool pool(1);
  const auto most = std::numeric_limits<std::size_t>::max();
  CHECK_THROWS_AS(SharedArray<double>(pool, most), std::bad_array_new_length);
  CHECK_THROWS_AS(SharedArray<char>(pool, most), pinion::ResourceError);
  CHECK_THROWS_AS(SharedArray<double>(pool, most / 8), pinion::ResourceError);
  CHECK_THROWS_AS(SharedArray<char>(pool, std::size_t{1} << 50), pinion::ResourceError);
  SharedArray<char> a(pool, 3 * page + 1);
  CHECK(pool.apply([](SharedArray<char> b) { return b.size(); }, a) == 3 * page + 1);
}

TEST_CASE("more arrays than a pool may have are a ResourceError that says so") {
  CheckedPool pool(1);
  std::vector<SharedArray<char>> all;
  const std::string error = error_of([&] {
    for (int i = 0; i < 40'000; ++i) all.emplace_back(pool, 0);
  });
  CHECK(error.find("shared arrays of a pool") != std::string::npos);
  CHECK(all.size() == 32'767);
  all.pop_back();
  CHECK(SharedArray<char>(pool, 100).size() == 100);
}

TEST_CASE("an array of another pool is the task's EncodingError") {
  CheckedPool mine(1);
  CheckedPool other(1);
  SharedArray<double> a(mine, 10);
  CHECK_THROWS_AS(other.apply(sum, a), pinion::EncodingError);
  CHECK(mine.apply(sum, a) == 0.0);
}

TEST_CASE("no array is made of a pool that is closed") {
  CheckedPool pool(1);
  pool.close();
  CHECK_THROWS_AS(SharedArray<int>(pool, 10), pinion::PoolClosed);
}

TEST_CASE("a forked child that drops its copy of a handle takes nothing away") {
  CheckedPool pool(1);
  SharedArray<int> a(pool, 1000);
  a[0] = 11;
  const pid_t child = ::fork();
  if (child == 0) {
    a = {};
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(a[0] == 11);
  pool.apply([v = a.view()] {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) ::_exit(0);
    ::waitpid(grandchild, nullptr, 0);
    v[1] = 12;
  });
  CHECK(a[1] == 12);
}

TEST_CASE("threads make, pass on and drop arrays at once") {
  CheckedPool pool(2);
  Held held(pool);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        SharedArray<double> a(pool, 500);
        auto filled = pool.apply_async(fill, a, t * 1000.0 + i);
        auto copy = pool.apply(itself, a);
        filled.get();
        if (copy[499] != t * 1000.0 + i) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(held.becomes(0));
}
