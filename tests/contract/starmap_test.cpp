// starmap: items that are several arguments.
#include <doctest/doctest.h>

#include <array>
#include <map>
#include <ranges>
#include <string>
#include <tuple>
#include <utility>

#include "tests/contract/checks.hpp"

using namespace checks;

namespace {

int power(int base, int exponent) {
  int r = 1;
  for (int i = 0; i < exponent; ++i) r *= base;
  return r;
}
std::string repeat(const std::string& text, unsigned times) {
  std::string out;
  for (unsigned i = 0; i < times; ++i) out += text;
  return out;
}
int divide(int a, int b) {
  if (b == 0) throw std::invalid_argument("division by zero");
  return a / b;
}
pinion::Task<int> later_sum(int a, int b) {
  co_await pinion::sleep_for(1ms);
  co_return a + b;
}
double scale(double x, const std::vector<double>& by) {
  double sum = 0;
  for (const double b : by) sum += x * b;
  return sum;
}

}  // namespace

TEST_CASE("starmap takes pairs, tuples and arrays apart, and keeps their order") {
  CheckedPool pool(pinion::PoolOptions{.processes = 2});
  const std::vector<std::pair<int, int>> pairs{{2, 5}, {3, 2}, {10, 3}};
  CHECK(pool.starmap(power, pairs) == std::vector<int>{32, 9, 1000});
  const std::vector<std::tuple<int, long>> tuples{{2, 10}, {5, 0}};
  CHECK(pool.starmap(power, tuples) == std::vector<int>{1024, 1});
  const std::vector<std::array<int, 2>> arrays{{7, 1}, {7, 2}};
  CHECK(pool.starmap(power, arrays) == std::vector<int>{7, 49});
}

TEST_CASE("each element is converted as an argument of a call would be") {
  CheckedPool pool(pinion::PoolOptions{.processes = 2});
  const std::vector<std::pair<const char*, short>> literals{{"ab", short{2}}, {"c", short{3}}};
  CHECK(pool.starmap(repeat, literals) == std::vector<std::string>{"abab", "ccc"});
  const std::map<std::string, unsigned> counts{{"x", 1}, {"y", 2}};
  CHECK(pool.starmap(repeat, counts) == std::vector<std::string>{"x", "yy"});
}

TEST_CASE("starmap over a large view, in automatic and fixed chunks") {
  CheckedPool pool(pinion::PoolOptions{.processes = 2});
  const auto view = std::views::iota(0, 10'000) |
                    std::views::transform([](int i) { return std::pair(i, 2 * i); });
  const auto add = [](int a, int b) { return a + b; };
  const std::vector<int> sums = pool.starmap(add, view);
  const std::vector<int> in_chunks = pool.starmap(add, view, pinion::Chunking::fixed(7));
  REQUIRE(sums.size() == 10'000);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    CHECK(sums[i] == static_cast<int>(3 * i));
    CHECK(in_chunks[i] == sums[i]);
  }
}

TEST_CASE("a generic callable gets the elements' own types") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  const std::vector<std::tuple<int, double, std::string>> items{{1, 2.5, "abc"}};
  const auto f = [](auto a, auto b, auto c) { return a + b + static_cast<double>(c.size()); };
  CHECK(pool.starmap(f, items) == std::vector<double>{6.5});
}

TEST_CASE("starmap_async: errors, options, empty ranges, coroutines, move-only containers") {
  CheckedPool pool(pinion::PoolOptions{.processes = 2});
  auto failing =
      pool.starmap_async(divide, std::vector<std::pair<int, int>>{{4, 2}, {1, 0}, {2, 0}});
  CHECK_THROWS_AS(failing.get(), std::invalid_argument);
  CHECK(pool.starmap(power, std::vector<std::pair<int, int>>{}).empty());
  const pinion::TaskOptions limits{.timeout = 5s};
  CHECK(pool.starmap(limits, later_sum, std::vector<std::pair<int, int>>{{1, 2}, {3, 4}}) ==
        std::vector<int>{3, 7});
  std::vector<std::pair<double, std::vector<double>>> owned;
  owned.emplace_back(2.0, std::vector<double>{1, 2, 3});
  CHECK(pool.starmap_async(scale, std::move(owned)).get() == std::vector<double>{12});
  int calls = 0;
  pool.starmap([](int, int) {}, std::vector<std::pair<int, int>>{{1, 2}});
  pool.starmap_async([](int, int) {}, std::vector<std::pair<int, int>>{{1, 2}}).on_success([&] {
    ++calls;
  });
  pool.close();
  pool.join();
  CHECK(calls == 1);
}
