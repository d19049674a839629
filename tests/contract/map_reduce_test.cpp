// map_reduce: the same result to the bit, whoever computes it (edge case 76).
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <list>
#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::Chunking;
using pinion::PoolOptions;
using pinion::SharedArray;

namespace {

double square(double x) { return x * x; }
double plus(double a, double b) { return a + b; }
std::string name(int i) { return std::to_string(i) + ","; }

/// Numbers whose sum depends on the order.
std::vector<double> awkward(std::size_t n) {
  auto random = std::mt19937_64(7);
  std::vector<double> v(n);
  for (double& x : v)
    x = std::ldexp(static_cast<double>(random() >> 12), static_cast<int>(random() % 80) - 90);
  return v;
}

struct Range {
  int least, most;
};

}  // namespace

TEST_CASE("sums of many ranges, many lengths and many chunks") {
  CheckedPool pool(2);
  const auto identity = [](long x) { return x; };
  for (const int n : {0, 1, 2, 3, 100, 4095, 4096, 4097, 10'000}) {
    CAPTURE(n);
    std::vector<long> items(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) items[static_cast<std::size_t>(i)] = i;
    SharedArray<long> shared(pool, items.size());
    std::copy(items.begin(), items.end(), shared.begin());
    const std::list<long> listed(items.begin(), items.end());
    const long expected = 1000 + static_cast<long>(n) * (n - 1) / 2;
    for (const Chunking& c : {Chunking(), Chunking(1), Chunking(10), Chunking(1 << 30),
                              Chunking::guided(), Chunking::factoring()}) {
      CHECK(pool.map_reduce(identity, items, std::plus<long>(), 1000L, c) == expected);
      CHECK(pool.map_reduce(identity, shared, std::plus<long>(), 1000L, c) == expected);
      CHECK(pool.map_reduce(identity, std::views::iota(0L, static_cast<long>(n)), std::plus<long>(),
                            1000L, c) == expected);
    }
    CHECK(pool.map_reduce(identity, listed, std::plus<long>(), 1000L) == expected);
    CHECK(pool.map_reduce(identity, std::vector(items), std::plus<>(), 1000L) == expected);
  }
}

TEST_CASE("the same bits for 1, 2 and many workers, from one run to the next (edge case 76)") {
  const auto numbers = awkward(50'000);
  std::vector<std::uint64_t> bits[2];
  const double in_order = [&] {
    double sum = 0;
    for (const double x : numbers) sum += x * x;
    return sum;
  }();
  bool differs = false;
  for (const unsigned workers : {1U, 2U, 5U}) {
    CheckedPool pool(PoolOptions{.processes = workers, .placement = pinion::Placement::none()});
    SharedArray<double> shared(pool, numbers.size());
    std::copy(numbers.begin(), numbers.end(), shared.begin());
    for (int run = 0; run < 5; ++run) {
      // How long an item takes must not matter.
      const auto f = [run](double x) {
        if (run % 2 == 1 && x < 1e-20) std::this_thread::yield();
        return x * x;
      };
      const Chunking how = run == 3 ? Chunking::guided() : Chunking();
      const double sum = pool.map_reduce(f, numbers, plus, 0.0, how);
      bits[0].push_back(std::bit_cast<std::uint64_t>(sum));
      bits[0].push_back(std::bit_cast<std::uint64_t>(pool.map_reduce(f, shared, plus, 0.0, how)));
      bits[1].push_back(
          std::bit_cast<std::uint64_t>(pool.map_reduce(square, numbers, plus, 0.0, 100)));
      differs |= sum != in_order;
    }
  }
  for (const auto& all : bits) {
    CHECK(std::count(all.begin(), all.end(), all.front()) == static_cast<long>(all.size()));
  }
  CHECK(differs);  // or the order would not have shown
}

TEST_CASE("what is not commutative comes in order") {
  CheckedPool pool(2);
  std::string expected = "begin:";
  for (int i = 0; i < 9000; ++i) expected += name(i);
  CHECK(pool.map_reduce(name, numbers(9000), std::plus<std::string>(), std::string("begin:")) ==
        expected);
  CHECK(pool.map_reduce([](const std::string& s) { return s; },
                        std::vector<std::string>{"a", "", "bc"},
                        [](std::string a, const std::string& b) { return std::move(a) + b; },
                        std::string()) == "abc");
}

TEST_CASE("a functor, captures, and a type of one's own") {
  CheckedPool pool(2);
  const int shift = 3;
  const auto range = pool.map_reduce(
      [shift](int i) {
        return Range{i - shift, i + shift};
      },
      numbers(5000),
      [](Range a, Range b) {
        return Range{std::min(a.least, b.least), std::max(a.most, b.most)};
      },
      Range{1 << 30, -(1 << 30)});
  CHECK(range.least == -3);
  CHECK(range.most == 5002);
  CHECK(pool.map_reduce([](bool b) { return b ? 1 : 0; }, std::vector<bool>{true, false, true},
                        std::plus<int>(), 0) == 2);
  CHECK(pool.map_reduce([](int i) { return i > 5; }, numbers(10), std::logical_or<bool>(), false));
}

TEST_CASE("the error of the lowest item is thrown") {
  CheckedPool pool(2);
  const auto f = [](int i) {
    if (i % 3000 == 2999) throw std::range_error("at " + std::to_string(i));
    return i;
  };
  CHECK(error_of([&] {
          pool.map_reduce(f, numbers(20'000), std::plus<int>(), 0);
        }).find("at 2999") == 0);
  CHECK(error_of([&] {
          pool.map_reduce(f, std::views::iota(0, 20'000), std::plus<int>(), 0, 500);
        }).find("at 2999") == 0);
  const auto op = [](int a, int) -> int {
    if (a == 0) throw std::domain_error("in op");
    return a;
  };
  CHECK_THROWS_AS(pool.map_reduce([](int i) { return i; }, numbers(10), op, 0, 5),
                  std::domain_error);
}
