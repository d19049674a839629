// Arguments and results of every size, and what happens when the pool's memory runs short.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <functional>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

std::size_t length(const std::string& s) { return s.size(); }
std::string echo(std::string s) { return s; }
std::string made(std::size_t n) { return std::string(n, 'x'); }

/// Does not encode where it is 5.
struct Choosy {
  int x = 0;
};
/// A large result that does not encode.
struct Stubborn {};

}  // namespace

template <>
struct pinion::codec<Choosy> {
  static std::size_t size(const Choosy&) { return sizeof(int); }
  static void encode(pinion::Writer& to, const Choosy& c) {
    if (c.x == 5) throw std::range_error("five does not travel");
    to.value(c.x);
  }
  static Choosy decode(pinion::Reader& from) { return {from.value<int>()}; }
};

template <>
struct pinion::codec<Stubborn> {
  static std::size_t size(const Stubborn&) { return 4 * mib; }
  static void encode(pinion::Writer&, const Stubborn&) { throw std::range_error("I stay"); }
  static Stubborn decode(pinion::Reader&) { return {}; }
};

TEST_CASE("strings of 0 bytes to 64 MiB travel both ways (edge case 20)") {
  CheckedPool pool(1);
  for (const std::size_t n :
       {std::size_t{0}, std::size_t{1}, std::size_t{23}, std::size_t{24}, std::size_t{32},
        std::size_t{33}, std::size_t{255}, std::size_t{256}, std::size_t{257}, std::size_t{4096},
        std::size_t{8192}, std::size_t{8193}, 512 * 1024ul, mib, 3 * mib + 1, 64 * mib}) {
    CAPTURE(n);
    CHECK(pool.apply(echo, std::string(n, 'y')) == std::string(n, 'y'));
  }
}

TEST_CASE("large results may be held at once, beyond the arena") {
  CheckedPool pool(PoolOptions{.processes = 1, .arena_bytes = 32 * mib});
  std::vector<pinion::AsyncResult<std::string>> held;
  for (int i = 0; i < 100; ++i) held.push_back(pool.apply_async(made, mib));
  for (auto& result : held) REQUIRE(result.get().size() == mib);
}

TEST_CASE("a result beyond the arena is a ResourceError that names the limit") {
  CheckedPool pool(PoolOptions{.processes = 1, .arena_bytes = 32 * mib});
  const std::string error = error_of([&] { pool.apply(made, 64 * mib); });
  CHECK(error.find("arena_bytes") != std::string::npos);
  CHECK_THROWS_AS(pool.apply(made, 64 * mib), pinion::ResourceError);
  CHECK(pool.apply(made, 1000) == std::string(1000, 'x'));
}

TEST_CASE("an argument beyond the arena is a ResourceError that names the limit") {
  CheckedPool pool(PoolOptions{.processes = 1, .arena_bytes = 32 * mib});
  CHECK_THROWS_AS(pool.apply(length, std::string(64 * mib, 'y')), pinion::ResourceError);
  CHECK_THROWS_AS(pool.map(length, std::vector{std::string(64 * mib, 'y')}), pinion::ResourceError);
  CHECK(pool.map(length, std::vector{std::string("ab"), std::string("c")}) ==
        std::vector<std::size_t>{2, 1});
  CHECK(pool.apply(length, std::string(5 * mib, 'y')) == 5 * mib);
}

TEST_CASE(
    "an argument that finds the arena full of result space ends, one way or the other (edge case "
    "21)") {
  CheckedPool pool(PoolOptions{.processes = 1, .arena_bytes = 64 * mib});
  CHECK(pool.apply(made, 40 * mib).size() == 40 * mib);
  auto single = pool.apply_async(length, std::string(40 * mib, 'y'));
  auto mapped = pool.map_async(length, std::vector(2, std::string(40 * mib, 'y')));
  CHECK(single.wait(5s));
  CHECK(mapped.wait(5s));
  if (!single.ready() || !mapped.ready()) {
    pool.terminate();
    return;
  }
  try {
    const std::size_t bytes = single.get();
    CHECK(bytes == 40 * mib);
  } catch (const pinion::ResourceError& e) {
    CHECK(e.limit() == "PoolOptions::arena_bytes");
  }
  CHECK(pool.apply(length, std::string("short")) == 5);
}

TEST_CASE("threads that send more than half of the arena each take turns") {
  CheckedPool pool(PoolOptions{.processes = 1, .arena_bytes = 32 * mib});
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        try {
          auto result = pool.apply_async(length, std::string(18 * mib, 'z'));
          if (!result.wait(10s)) pool.terminate();
          if (result.get() == 18 * mib) ++right;
        } catch (const std::exception&) {
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(right == 30);
}

TEST_CASE("a result that throws while it is encoded takes no memory with it") {
  CheckedPool pool(PoolOptions{.processes = 1, .arena_bytes = 64 * mib});
  for (int i = 0; i < 40; ++i) {
    REQUIRE(error_of([&] { pool.apply([] { return Stubborn{}; }); }) == "I stay");
  }
  const auto coroutine = [](int) -> pinion::Task<Stubborn> { co_return Stubborn{}; };
  for (int i = 0; i < 40; ++i) {
    REQUIRE(error_of([&] { pool.apply(coroutine, 1); }) == "I stay");
  }
  for (int i = 0; i < 10; ++i) {
    REQUIRE(error_of([&] { pool.map([](int) { return Stubborn{}; }, numbers(4), 4); }) == "I stay");
  }
}

TEST_CASE("an item that throws while it is encoded ends with its error, the others with values") {
  const auto value = [](const Choosy& c) { return c.x; };
  for (const int chunk : {1, 3, 10}) {
    CAPTURE(chunk);
    CheckedPool pool(2);
    std::vector<Choosy> items;
    for (int i = 0; i < 10; ++i) items.push_back({i});
    auto result = pool.map_async(value, items, chunk);
    const bool ended = result.wait(5s);
    CHECK(ended);
    if (!ended) {
      pool.terminate();
      return;
    }
    CHECK_THROWS_AS(result.get(), std::range_error);
    CHECK(pool.stats().completed == 9);
    CHECK_THROWS_AS(pool.apply(value, Choosy{5}), std::range_error);
    CHECK(pool.apply(value, Choosy{4}) == 4);
  }
}

TEST_CASE("an arena too small to start is a ResourceError from the constructor") {
  NothingLeft nothing;
  CHECK_THROWS_AS(pinion::Pool(PoolOptions{.processes = 2, .arena_bytes = 4096}),
                  pinion::ResourceError);
}

TEST_CASE("a large result read in a forked child is an error or a value, not a crash") {
  CheckedPool pool(1);
  auto result = pool.apply_async(made, 10000);
  result.wait();
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      ::_exit(result.get().size() == 10000 ? 0 : 1);
    } catch (const pinion::PoolClosed&) {
      ::_exit(0);
    } catch (...) {
      ::_exit(2);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(result.get().size() == 10000);
}
