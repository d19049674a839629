// Everything that can travel, there and back by real processes.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::EncodingError;

namespace {

struct Point {
  double x = 0, y = 0;
  bool operator==(const Point&) const = default;
};
struct Person {
  std::string name;
  std::vector<Point> path;
  std::optional<int> age;
  std::map<std::string, std::vector<int>> marks;
  bool operator==(const Person&) const = default;
};
struct alignas(64) Line {
  std::array<std::uint64_t, 8> words{};
  bool operator==(const Line&) const = default;
};
enum class Colour : std::uint8_t { red = 3, blue = 250 };

template <class T>
T echo(const T& value) {
  return value;
}
template <class T>
pinion::Task<T> echo_later(T value) {
  co_await pinion::yield();
  co_return value;
}

/// There and back, alone and as the items of a map.
template <class T>
void there_and_back(pinion::Pool& pool, const T& value) {
  CHECK(pool.apply(echo<T>, value) == value);
  const std::vector<T> items(5, value);
  CHECK(pool.map(echo<T>, items) == items);
  CHECK(pool.map(echo<T>, items, 2) == items);
}
/// By coroutines.
template <class T>
void there_and_back_later(pinion::Pool& pool, const T& value) {
  CHECK(pool.apply(echo_later<T>, value) == value);
  const std::vector<T> items(5, value);
  CHECK(pool.map(echo_later<T>, items, 2) == items);
}

int square(int x) { return x * x; }
int cube(int x) { return x * x * x; }
std::unique_ptr<int> take(std::unique_ptr<int> p) {
  if (p) ++*p;
  return p;
}
const std::string& constant() {
  static const std::string text = "of the worker";
  return text;
}
const std::vector<int>& parameter(const std::vector<int>& v) { return v; }

struct Affine {
  double factor;
  std::vector<double> shifts;
  double operator()(double x) const { return factor * x + shifts.at(1); }
};
struct Plain {
  int a, b;
  int operator()(int x) const { return a * x + b; }
};

}  // namespace

TEST_CASE("numbers, enumerations and nothing") {
  CheckedPool pool(2);
  there_and_back(pool, std::numeric_limits<std::int64_t>::min());
  there_and_back(pool, std::numeric_limits<std::uint64_t>::max());
  there_and_back(pool, std::int8_t{-1});
  there_and_back(pool, 'c');
  there_and_back(pool, -0.0);
  there_and_back(pool, std::numeric_limits<float>::infinity());
  there_and_back(pool, std::numeric_limits<double>::denorm_min());
  there_and_back(pool, 1.0L / 3);
  there_and_back(pool, Colour::blue);
  CHECK(std::isnan(pool.apply(echo<double>, std::nan(""))));
}

TEST_CASE("bools, alone, by map and packed") {
  CheckedPool pool(2);
  CHECK(pool.apply(echo<bool>, true));
  CHECK_FALSE(pool.apply(echo<bool>, false));
  const auto odd = [](int x) { return x % 2 != 0; };
  for (const int chunk : {1, 7, 1000}) {
    const std::vector<bool> odds = pool.map(odd, numbers(1000), chunk);
    REQUIRE(odds.size() == 1000);
    for (std::size_t i = 0; i < 1000; ++i) REQUIRE(odds[i] == (i % 2 != 0));
  }
  std::vector<bool> packed(1001);
  for (std::size_t i = 0; i < packed.size(); i += 3) packed[i] = true;
  there_and_back(pool, packed);
  CHECK(pool.map(echo<bool>, packed) == packed);
}

TEST_CASE("strings of every size") {
  CheckedPool pool(2);
  for (const std::size_t size :
       {0UL,  1UL,   15UL,  16UL,  31UL,   32UL,   40UL,   47UL,    48UL,      49UL,
        64UL, 255UL, 256UL, 257UL, 4095UL, 4096UL, 4097UL, 65536UL, 1UL << 20, (1UL << 22) + 1}) {
    CAPTURE(size);
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; i += 97) text[i] = static_cast<char>(i);
    REQUIRE(pool.apply(echo<std::string>, text) == text);
  }
  there_and_back(pool, std::string("with\0zero", 9));
  there_and_back(pool, std::string());
  there_and_back(pool, std::u16string(u"zwei"));
}

TEST_CASE("64 MiB there and back") {
  CheckedPool pool(2);
  std::string text(64 << 20, 'x');
  text.front() = 'a';
  text.back() = 'z';
  const auto back = pool.apply([](std::string s) { return s; }, text);
  CHECK((back == text));
}

TEST_CASE("containers, full and empty") {
  CheckedPool pool(2);
  using std::string;
  there_and_back(pool, std::vector<int>{});
  there_and_back(pool, std::vector<int>{1, 2, 3});
  there_and_back(pool, std::vector<string>{"", "a", string(1000, 'b')});
  there_and_back(pool, std::vector<std::vector<string>>{{}, {"a"}, {"b", ""}});
  there_and_back(pool, std::deque<double>{1.5, 2.5});
  there_and_back(pool, std::list<string>{"x", "y"});
  there_and_back(pool, std::array<string, 3>{"1", "2", "3"});
  there_and_back(pool, std::array<int, 0>{});
  there_and_back(pool, std::pair<int, string>{1, "one"});
  there_and_back(pool, std::tuple<int, string, std::vector<char>>{1, "one", {'o'}});
  there_and_back(pool, std::tuple<>{});
  there_and_back(pool, std::optional<string>{});
  there_and_back(pool, std::optional<string>{"here"});
  there_and_back(pool, std::variant<int, string>{"second"});
  there_and_back(pool, std::variant<std::monostate, int>{});
  there_and_back(pool, std::map<string, std::map<int, string>>{{"a", {{1, "x"}}}, {"b", {}}});
  there_and_back(pool, std::multimap<int, int>{{1, 2}, {1, 3}});
  there_and_back(pool, std::set<string>{"p", "q"});
  there_and_back(pool, std::multiset<int>{1, 1, 2});
  there_and_back(pool, std::unordered_map<string, int>{{"k", 1}, {"l", 2}});
  there_and_back(pool, std::unordered_set<int>{});
  there_and_back(pool, std::filesystem::path("/a/b c"));
  there_and_back(pool, std::make_error_code(std::errc::no_space_on_device));
}

TEST_CASE("aggregates, flat and deep, and types that want 64 bytes of alignment") {
  CheckedPool pool(2);
  there_and_back(pool, Point{1, 2});
  there_and_back(pool, Person{"Ada", {{1, 2}, {3, 4}}, 36, {{"maths", {1, 1}}, {"art", {}}}});
  there_and_back(pool, Person{});
  Line line;
  for (std::size_t i = 0; i < 8; ++i) line.words[i] = i * 0x0101010101010101;
  there_and_back(pool, line);
  const auto aligned = [](const Line& l) { return reinterpret_cast<std::uintptr_t>(&l) % 64; };
  CHECK(pool.apply(aligned, line) == 0);
  for (const auto rest : pool.map(aligned, std::vector<Line>(33, line), 7)) CHECK(rest == 0);
  for (const auto rest : pool.map(aligned, std::vector<Line>(33, line))) CHECK(rest == 0);
  const auto lines = pool.map(echo<Line>, std::vector<Line>(33, line), 7);
  for (const Line& l : lines) CHECK(reinterpret_cast<std::uintptr_t>(&l) % 64 == 0);
  const auto result = pool.apply_async(echo<Line>, line);
  CHECK(reinterpret_cast<std::uintptr_t>(&result.get()) % 64 == 0);
}

TEST_CASE("coroutines take and give all kinds of values") {
  CheckedPool pool(2);
  there_and_back_later(pool, 1.5);
  there_and_back_later(pool, std::string(1000, 'c'));
  there_and_back_later(pool, std::vector<std::string>{"a", "", "bc"});
  there_and_back_later(pool, std::vector<bool>{true, false, true});
  there_and_back_later(pool, Person{"Ada", {{1, 2}}, 36, {{"maths", {1}}}});
}

TEST_CASE("values that can only be moved (edge case 23)") {
  CheckedPool pool(2);
  CHECK(*pool.apply(take, std::make_unique<int>(41)) == 42);
  CHECK(pool.apply(take, nullptr) == nullptr);
  const auto result = pool.apply_async(take, std::make_unique<int>(1));
  CHECK(*result.get() == 2);
  CHECK(*result.get() == 2);
  std::vector<std::unique_ptr<int>> many;
  for (int i = 0; i < 100; ++i) many.push_back(std::make_unique<int>(i));
  const auto back = pool.map(take, std::move(many), 7);
  REQUIRE(back.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(*back[std::size_t(i)] == i + 1);
  const auto shared =
      pool.apply(echo<std::shared_ptr<std::string>>, std::make_shared<std::string>("shared"));
  CHECK(*shared == "shared");
}

TEST_CASE("function pointers are values") {
  CheckedPool pool(2);
  using Function = int (*)(int);
  const auto call = [](Function f, int x) { return f(x); };
  CHECK(pool.apply(call, Function{square}, 5) == 25);
  CHECK(pool.apply(call, Function{cube}, 5) == 125);
  const auto each = [](Function f) { return f(3); };
  CHECK(pool.map(each, std::vector<Function>{square, cube, square}, 2) == std::vector{9, 27, 9});
  Function f = square;
  CHECK(pool.apply(f, 4) == 16);
  f = cube;
  CHECK(pool.apply(f, 4) == 64);
  CHECK(pool.map(f, numbers(4), 2) == std::vector{0, 1, 8, 27});
  CHECK(pool.apply(pinion::fn<square>, 6) == 36);
  CHECK(pool.map(pinion::fn<cube>, numbers(4)) == std::vector{0, 1, 8, 27});
  // Out of a worker none comes, and nothing else is harmed.
  CHECK_THROWS_AS(pool.apply([](int) -> Function { return square; }, 1), EncodingError);
  CHECK_THROWS_AS(pool.apply([] { return std::vector<Function>{cube}; }), EncodingError);
  CHECK_THROWS_AS(pool.map([](int) -> Function { return square; }, numbers(10), 4), EncodingError);
  CHECK(pool.apply(f, 4) == 64);
}

TEST_CASE("functors with members, plain ones and ones with containers") {
  CheckedPool pool(2);
  CHECK(pool.apply(Plain{3, 4}, 5) == 19);
  CHECK(pool.map(Plain{3, 4}, numbers(3)) == std::vector{4, 7, 10});
  const Affine affine{2, {0, 10}};
  CHECK(pool.apply(affine, 4.0) == 18);
  CHECK(pool.map(affine, std::vector{1.0, 2.0}, 1) == std::vector{12.0, 14.0});
  CHECK_THROWS_AS(pool.apply(Affine{1, {}}, 1.0), std::out_of_range);
}

TEST_CASE("lambdas: generic, capturing, mutable") {
  CheckedPool pool(2);
  const auto twice = [](const auto& x) { return x + x; };
  CHECK(pool.apply(twice, 21) == 42);
  CHECK(pool.apply(twice, std::string("ab")) == "abab");
  CHECK(pool.map(twice, std::vector<std::string>{"a", "b"}) ==
        std::vector<std::string>{"aa", "bb"});
  const double factor = 2.5;
  const Point point{1, 2};
  CHECK(pool.apply([factor, point](double x) { return factor * x + point.y; }, 2) == 7);
  int count = 10;
  auto counter = [count](int x) mutable { return count += x; };
  CHECK(pool.apply(counter, 1) == 11);
  CHECK(pool.apply(counter, 1) == 11);  // what it writes is its copy's
}

TEST_CASE("a captured reference is refused, and nothing else is harmed") {
  CheckedPool pool(2);
  int local = 5;
  std::vector<int> vector(3);
  CHECK_THROWS_AS(pool.apply([&local] { return local; }), EncodingError);
  CHECK_THROWS_AS(pool.apply_async([&] { vector[0] = local; }), EncodingError);
  CHECK_THROWS_AS(pool.map([&vector](int x) { return vector[0] + x; }, numbers(3)), EncodingError);
  const int* there = &local;
  CHECK_THROWS_AS(pool.map_async([there](int x) { return *there + x; }, numbers(3)), EncodingError);
  std::thread([&] {
    int in_thread = 3;
    CHECK_THROWS_AS(pool.apply([&in_thread] { return in_thread; }), EncodingError);
  }).join();
  CHECK(pool.apply(square, 3) == 9);
  CHECK(pool.stats().accepted == 1);
}

TEST_CASE("const references that functions return come back as values") {
  CheckedPool pool(2);
  std::string text = pool.apply(constant);
  CHECK(text == "of the worker");
  CHECK(pool.apply(parameter, std::vector{1, 2, 3}) == std::vector{1, 2, 3});
  CHECK(pool.map(parameter, std::vector<std::vector<int>>{{1}, {}, {2, 3}}) ==
        std::vector<std::vector<int>>{{1}, {}, {2, 3}});
}

TEST_CASE("arguments are converted at the call, and kept until a coroutine has ended") {
  CheckedPool pool(1);
  CHECK(pool.apply([](double x) { return x; }, 3) == 3.0);
  CHECK(pool.apply([](const std::string& s) { return s.size(); }, "literal") == 7);
  CHECK(pool.apply([](std::string&& s) { return s + "!"; }, "moved") == "moved!");
  const auto refers = [](const std::string& s, const std::vector<int>& v) -> pinion::Task<int> {
    for (int i = 0; i < 20; ++i) co_await pinion::sleep_for(1ms);
    co_return static_cast<int>(s.size() + v.size());
  };
  std::vector<pinion::AsyncResult<int>> results;
  for (int i = 0; i < 40; ++i) {
    results.push_back(pool.apply_async(refers, std::string(std::size_t(i) * 100, 'x'),
                                       std::vector<int>(std::size_t(i))));
  }
  for (int i = 0; i < 40; ++i) CHECK(results[std::size_t(i)].get() == 101 * i);
}

TEST_CASE("values that only few can decode end their own task only") {
  CheckedPool pool(2);
  const auto nest = [](int depth) {
    std::unique_ptr<std::vector<int>> inner;
    if (depth > 0) inner = std::make_unique<std::vector<int>>(std::size_t(depth));
    return inner;
  };
  CHECK(pool.apply(nest, 0) == nullptr);
  CHECK(pool.apply(nest, 9)->size() == 9);
  CHECK(pool.map(nest, std::vector{0, 1, 2}).at(2)->size() == 2);
}
