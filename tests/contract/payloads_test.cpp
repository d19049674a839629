// Payloads at the limits of the pool's memory: nothing stands still, and each task ends with its
// value or with the limit's name.
#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

std::string made(std::size_t n) { return std::string(n, 'x'); }
std::string echo(std::string s) { return s; }

struct alignas(256) Wide {
  int value = 0;
};
struct alignas(4096) Page {
  char text[4096] = {};
};

/// Ends the pool where a result does not come: a test that hangs shows nothing.
template <class T>
bool ends(pinion::Pool& pool, const pinion::AsyncResult<T>& result) {
  if (result.wait(20s)) return true;
  pool.terminate();
  return false;
}

}  // namespace

TEST_CASE("values of no bytes at all, alone, in containers and by map (edge case 20)") {
  struct Nothing {
    bool operator==(const Nothing&) const = default;
  };
  CheckedPool pool(2);
  CHECK(pool.apply([](Nothing n) { return n; }, Nothing()) == Nothing());
  CHECK(pool.apply([](std::tuple<> t) { return t; }, std::tuple<>()) == std::tuple<>());
  CHECK(pool.apply([](std::vector<int> v) { return v; }, std::vector<int>()).empty());
  CHECK(pool.apply(echo, std::string()).empty());
  CHECK(pool.map(echo, std::vector<std::string>(1000)) == std::vector<std::string>(1000));
  CHECK(pool.map([](std::tuple<>) { return std::tuple<>(); }, std::vector<std::tuple<>>(1000))
            .size() == 1000);
}

TEST_CASE("types that want more alignment than any allocator gives by itself (edge case 20)") {
  CheckedPool pool(2);
  const auto place = [](const auto& v) {
    return reinterpret_cast<std::uintptr_t>(&v) % alignof(decltype(v));
  };
  CHECK(pool.apply([place](const Wide& w) { return place(w) + std::uintptr_t(w.value); },
                   Wide{7}) == 7);
  Page page;
  page.text[4095] = 'e';
  const auto pages = pool.map([](Page p) { return p; }, std::vector<Page>(50, page), 7);
  REQUIRE(pages.size() == 50);
  for (const Page& p : pages) {
    CHECK(p.text[4095] == 'e');
    CHECK(place(p) == 0);
  }
  const auto held =
      pool.apply_async([](std::vector<Wide> v) { return v; }, std::vector<Wide>(100, Wide{3}));
  for (const Wide& w : held.get()) {
    CHECK(w.value == 3);
    CHECK(place(w) == 0);
  }
}

TEST_CASE("every worker holds a finished result when the arena is full (edge case 21)") {
  CheckedPool pool(PoolOptions{.processes = 2, .arena_bytes = 32 * mib});
  for (int round = 0; round < 3; ++round) {
    std::vector<pinion::AsyncResult<std::string>> held;
    for (int i = 0; i < 12; ++i) held.push_back(pool.apply_async(made, 8 * mib));
    // None is taken; the next ones need room for what they send and for what they give.
    for (int i = 0; i < 12; ++i) held.push_back(pool.apply_async(echo, std::string(6 * mib, 'y')));
    int values = 0;
    for (const auto& result : held) {
      REQUIRE(ends(pool, result));
      try {
        values += result.get().size() >= 6 * mib ? 1 : 0;
      } catch (const pinion::ResourceError& e) {
        CHECK(e.limit() == "PoolOptions::arena_bytes");
      }
    }
    CHECK(values >= 12);
    held.clear();
    CHECK(pool.apply(made, 1000).size() == 1000);
  }
}

TEST_CASE("a result beyond a worker's space, while others are held and awaited (edge case 21)") {
  CheckedPool pool(PoolOptions{.processes = 1, .arena_bytes = 28 * mib});
  const auto held = pool.apply_async(made, 10 * mib);
  REQUIRE(ends(pool, held));
  CHECK(pool.apply(made, 12 * mib).size() == 12 * mib);
  CHECK_THROWS_AS(pool.apply(made, 30 * mib), pinion::ResourceError);
  CHECK(held.get() == made(10 * mib));
  const auto many = pool.map_async(made, std::vector<std::size_t>(40, 2 * mib));
  REQUIRE(ends(pool, many));
  for (const auto& one : many.get()) REQUIRE(one.size() == 2 * mib);
}

TEST_CASE("submits that wait for room take results meanwhile (edge case 22)") {
  CheckedPool pool(PoolOptions{.processes = 2, .arena_bytes = 32 * mib, .max_pending = 8});
  std::vector<pinion::AsyncResult<std::string>> results;
  for (int i = 0; i < 2000; ++i) results.push_back(pool.apply_async(made, 100'000));
  for (const auto& result : results) REQUIRE(result.get().size() == 100'000);
  // More than a ring has slots, from several threads, and nobody takes anything yet.
  CheckedPool wide(PoolOptions{.processes = 2});
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      std::vector<pinion::AsyncResult<int>> mine;
      for (int i = 0; i < 5000; ++i) mine.push_back(wide.apply_async([](int x) { return -x; }, i));
      for (int i = 0; i < 5000; ++i) right += mine[std::size_t(i)].get() == -i;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(right == 15'000);
}
