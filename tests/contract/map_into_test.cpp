// Loops over shared arrays and over indices.
#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::Chunking;
using pinion::PoolOptions;
using pinion::SharedArray;

namespace {

const std::vector<Chunking> chunkings = {
    {}, 1, 7, 1000, 100'000, Chunking::guided(), Chunking::factoring()};

SharedArray<int> ascending(pinion::Pool& pool, std::size_t n) {
  SharedArray<int> a(pool, n);
  for (std::size_t i = 0; i < n; ++i) a[i] = static_cast<int>(i);
  return a;
}

double half(int x) { return x / 2.0; }

/// Throws for elements that 1000 divides.
int choosy(int x) {
  if (x % 1000 == 0 && x != 0) throw std::range_error("no " + std::to_string(x));
  return -x;
}

}  // namespace

TEST_CASE("map_into gives each element its value, whatever the chunk") {
  CheckedPool pool(2);
  for (const std::size_t n : {0, 1, 2, 31, 32, 33, 1000, 100'000}) {
    CAPTURE(n);
    const auto in = ascending(pool, n);
    for (const Chunking& chunking : chunkings) {
      if (n > 1000 && chunking.items() == 1) continue;
      SharedArray<double> out(pool, n);
      pool.map_into(half, in, out, chunking);
      for (std::size_t i = 0; i < n; ++i) REQUIRE(out[i] == static_cast<double>(i) / 2);
    }
  }
}

TEST_CASE("map_into in place, with captures, with a functor, to another type") {
  CheckedPool pool(2);
  const auto a = ascending(pool, 10'000);
  pool.map_into([](int x) { return x * 3; }, a, a);
  for (std::size_t i = 0; i < a.size(); ++i) REQUIRE(a[i] == 3 * static_cast<int>(i));
  SharedArray<char> parity(pool, a.size());
  const int modulus = 2;
  pool.map_into([modulus](int x) { return static_cast<char>(x % modulus); }, a, parity);
  CHECK(parity[1] == 1);
  CHECK(parity[9998] == 0);
  pool.map_into([](const auto& x) { return x + 1; }, a, a);
  CHECK(a[1] == 4);
  const auto step = a.view();
  SharedArray<int> differences(pool, a.size() - 1);
  pool.for_each_index(differences.size(), [step, d = differences.view()](std::size_t i) {
    d[i] = step[i + 1] - step[i];
  });
  for (const int d : differences) REQUIRE(d == 3);
}

TEST_CASE("sizes that differ are std::invalid_argument that says both") {
  CheckedPool pool(1);
  const std::string error = error_of(
      [&] { pool.map_into(half, SharedArray<int>(pool, 10), SharedArray<double>(pool, 11)); });
  CHECK(error.find("10 and 11") != std::string::npos);
  CHECK_THROWS_AS(pool.map_into(half, SharedArray<int>(pool, 1), SharedArray<double>()),
                  std::invalid_argument);
}

TEST_CASE("for_each_index calls with each index once") {
  CheckedPool pool(2);
  for (const std::size_t n : {0, 1, 5, 64, 12'345}) {
    CAPTURE(n);
    for (const Chunking& chunking : chunkings) {
      SharedArray<int> calls(pool, n);
      pool.for_each_index(
          n, [v = calls.view()](std::size_t i) { ++v[i]; }, chunking);
      for (const int c : calls) REQUIRE(c == 1);
    }
  }
  SharedArray<std::uint64_t> sum(pool, 1);
  pool.for_each_index(5000, [v = sum.view()](std::uint64_t i) {
    std::atomic_ref(v[0]).fetch_add(i);
    return i;  // dropped
  });
  CHECK(sum[0] == 5000ULL * 4999 / 2);
}

TEST_CASE("every element runs, and the error of the lowest is thrown") {
  CheckedPool pool(2);
  const auto in = ascending(pool, 20'000);
  for (const Chunking& chunking : chunkings) {
    if (chunking.items() == 1) continue;
    SharedArray<int> out(pool, in.size());
    CHECK(error_of([&] { pool.map_into(choosy, in, out, chunking); }).find("no 1000") == 0);
    for (std::size_t i = 1; i < in.size(); ++i) {
      REQUIRE(out[i] == (i % 1000 == 0 ? 0 : -static_cast<int>(i)));
    }
    try {
      pool.for_each_index(
          in.size(),
          [](std::size_t i) {
            if (i >= 7777) throw std::range_error("that far");
          },
          chunking);
      FAIL_CHECK("nothing was thrown");
    } catch (const std::range_error& e) {  // of a thread it is the original object
      const auto* const remote = dynamic_cast<const pinion::RemoteError*>(&e);
      CHECK((remote == nullptr || remote->item() == 7777));
      CHECK((remote != nullptr) == workers_are_processes());
    }
  }
}

TEST_CASE("a death costs the strip in which it came, and no other element") {
  if (left_out("workers cannot be killed")) return;
  NothingLeft nothing;
  CheckedPool pool(2);
  for (const std::size_t deadly : {0, 1, 5000, 99'999}) {
    CAPTURE(deadly);
    SharedArray<int> done(pool, 100'000);
    const auto f = [v = done.view(), deadly](std::size_t i) {
      if (i == deadly) std::raise(SIGKILL);
      v[i] = 1;
    };
    CHECK_THROWS_AS(pool.for_each_index(done.size(), f), pinion::WorkerLost);
    std::size_t missing = 0;
    for (std::size_t i = 0; i < done.size(); ++i) {
      if (done[i] == 0) {
        ++missing;
        REQUIRE(i >= deadly);
        REQUIRE(i < deadly + 32);
      }
    }
    CHECK(missing >= 1);
    CHECK(missing <= 32);
  }
  CHECK(pool.stats().deaths == 4);
}

TEST_CASE("loops of several threads over one array, and arrays dropped meanwhile") {
  CheckedPool pool(2);
  const std::size_t before = pool.stats().arena_bytes;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 1; t <= 3; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 20; ++round) {
        SharedArray<int> out(pool, 2000);
        pool.map_into([t](int x) { return x * t; }, ascending(pool, 2000), out);
        for (std::size_t i = 0; i < 2000; ++i) wrong += out[i] != static_cast<int>(i) * t;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(eventually([&] { return pool.stats().arena_bytes == before; }));
}
