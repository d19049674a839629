// Every kind of value arrives as it was sent, and what cannot travel is refused.
#include <doctest/doctest.h>
#include <pinion/codec.hpp>
#include <pinion/errors.hpp>

#include <chrono>
#include <complex>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "codec_helpers.hpp"

using namespace codec_test;

TEST_CASE("plain values travel as their bytes") {
  survives(42);
  survives(-1.5L);
  survives('x');
  survives(Colour::green);
  survives(std::complex<double>(1, -2));
  survives(std::chrono::milliseconds(17));
  survives(std::chrono::steady_clock::now());
  survives(std::array<int, 3>{1, 2, 3});
  survives(Point{1, 2});
  survives(Flag{true, 3});
  survives(Bits{5, 17});
  survives(Fixed(9));
  CHECK(round_trip(Word{.f = 2}).f == 2);
  CHECK(round_trip(Matrix{{{0, 1, 2}, {3, 4, 5}}, {6, 7}}).cells[1][2] == 5);
  CHECK(round_trip(Large{{1, 2}}).values[1] == 2);
  static_assert(is_flat<Matrix> && is_flat<Large> && is_flat<Bits> && is_flat<Fixed>);
  static_assert(fixed_size<Point> == sizeof(Point));
}

TEST_CASE("the size of pairs and tuples of plain values is known at compile time") {
  static_assert(fixed_size<std::tuple<int, char, double>> == 13);
  static_assert(fixed_size<std::pair<int, std::array<std::pair<int, char>, 2>>> == 14);
  static_assert(fixed_size<std::tuple<>> == 0);
  static_assert(fixed_size<std::variant<int, float>> == 6);
  static_assert(!fixed_size<std::tuple<int, std::string>> && !fixed_size<std::optional<int>>);
  survives(std::tuple<int, char, double>(1, 'a', 2.5));
  survives(std::tuple<>());
  survives(std::tuple(std::tuple(std::string("nested"))));
  survives(std::pair<int, std::pair<std::string, bool>>(1, {"x", true}));
}

TEST_CASE("a bool of any other byte is true, not undefined") {
  CHECK(round_trip(true));
  CHECK_FALSE(round_trip(false));
  CHECK(decoded<bool>({std::byte{0x80}}));
  const Bytes raw(sizeof(bool) + sizeof(int), std::byte{7});
  CHECK(decoded<Flag>(raw) == Flag{true, 0x07070707});
}

TEST_CASE("text travels with its zeros and its umlauts") {
  survives(std::string());
  survives(std::string("a\0b", 3));
  survives(std::u32string(U"gr\u00fcn"));
  survives(std::wstring(L"wide"));
  survives(std::filesystem::path("/tmp/a b"));
  survives(std::make_error_code(std::errc::no_space_on_device));
  survives(std::error_code(5, std::system_category()));
}

TEST_CASE("an error code of a foreign category is refused") {
  CHECK_THROWS_AS(encoded(std::error_code(1, std::iostream_category())), EncodingError);
}

TEST_CASE("containers travel with what they hold") {
  survives(std::vector<int>{1, 2, 3});
  survives(std::vector<Fixed>{Fixed(1), Fixed(2)});
  survives(std::vector<std::string>{"a", "", "ccc"});
  survives(std::vector<std::vector<double>>{{1}, {}, {2, 3}});
  survives(std::vector<bool>{true, false, true, true, false, false, false, true, true});
  survives(std::vector<Flag>{{true, 1}, {false, 2}});
  survives(std::vector<std::tuple<>>(5));
  survives(std::deque<int>{1, 2});
  survives(std::list<std::string>{"x", "y"});
  survives(std::array<std::string, 2>{"one", "two"});
  survives(std::array<std::string, 0>{});
  survives(std::map<std::string, int>{{"a", 1}, {"b", 2}});
  survives(std::multimap<int, std::string>{{1, "a"}, {1, "b"}});
  survives(std::set<int>{3, 1, 2});
  survives(std::multiset<int>{1, 1});
  survives(std::unordered_map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
  survives(std::unordered_multimap<int, int>{{1, 2}, {1, 3}});
  survives(std::unordered_set<std::string>{"a", "b"});
  survives(std::unordered_multiset<int>{1, 1});
  CHECK(encoded(std::vector<Point>(10)).size() == 8 + 10 * sizeof(Point));
}

TEST_CASE("optional, variant and owning pointers travel, also when they hold nothing") {
  survives(std::optional<std::string>());
  survives(std::optional<std::string>("here"));
  survives(std::variant<std::monostate, int, std::string>());
  survives(std::variant<std::monostate, int, std::string>("text"));
  CHECK(round_trip(std::unique_ptr<int>()) == nullptr);
  CHECK(*round_trip(std::make_unique<std::string>("owned")) == "owned");
  CHECK(round_trip(std::shared_ptr<int>()) == nullptr);
  CHECK(*round_trip(std::shared_ptr<const int>(std::make_shared<int>(4))) == 4);
}

TEST_CASE("a variant that lost its value is refused") {
  struct Thrower {
    operator std::string() const { throw 1; }
  };
  std::variant<int, Temperature> v(1);
  CHECK_THROWS_AS(v.emplace<1>(Thrower()), int);
  REQUIRE(v.valueless_by_exception());
  CHECK_THROWS_AS(static_cast<void>(pinion::encoded_size(v)), EncodingError);
}

TEST_CASE("aggregates travel member by member") {
  survives(Person{"Ada", {1, 2}, Point{3, 4}, {"A", "L"}, true});
  survives(HasConst{3, "three"});
  Tree tree{1, {}, std::make_unique<Tree>()};
  tree.children.push_back(Tree{2, {}, nullptr});
  const Tree back = round_trip(tree);
  CHECK(back.children.at(0).value == 2);
  CHECK(back.twin->value == 0);
  CHECK(back.children[0].twin == nullptr);
}

TEST_CASE("function pointers travel through the code map, wherever they are") {
  CHECK(round_trip(&twice)(4) == 8);
  CHECK(round_trip(Job{"double", twice}).run(5) == 10);
  CHECK(round_trip(PlainJob{twice, 3}).run(3) == 6);
  CHECK((round_trip(PlainJob{nullptr, 3}).run == nullptr ? true : false));
  CHECK(round_trip(std::vector<int (*)(int)>{twice, nullptr})[0](1) == 2);
  std::byte raw[9];
  Writer without_map(raw, raw + sizeof raw);
  CHECK_THROWS_AS(pinion::encode(without_map, PlainJob{twice, 1}), EncodingError);
}

TEST_CASE("a codec of the user's own goes first") {
  CHECK(round_trip(Temperature("12 C")).text() == "12 C");
  CHECK(round_trip(std::vector<Temperature>{Temperature("1"), Temperature("2")})[1].text() == "2");
}

TEST_CASE("a codec that writes more than it promised is stopped") {
  CHECK_THROWS_AS(encoded(Liar{"long text"}), EncodingError);
}

TEST_CASE("deep nesting and cycles are errors, not overflows") {
  Chain last;
  std::shared_ptr<Chain> head;
  for (unsigned i = 0; i < pinion::detail::nesting_max; ++i) {
    head = std::make_shared<Chain>(Chain{head});
  }
  CHECK(round_trip(head) != nullptr);
  CHECK_THROWS_AS(encoded(std::make_shared<Chain>(Chain{head})), EncodingError);
  const Bytes forged(1000, std::byte{1});
  CHECK_THROWS_AS(decoded<Chain>(forged), EncodingError);
  auto cycle = std::make_shared<Chain>();
  cycle->next = cycle;
  CHECK_THROWS_AS(encoded(cycle), EncodingError);
  cycle->next = nullptr;
}

TEST_CASE("a forged count takes no memory") {
  Bytes raw(8, std::byte{0xff});
  CHECK_THROWS_AS(decoded<std::string>(raw), EncodingError);
  CHECK_THROWS_AS(decoded<std::vector<int>>(raw), EncodingError);
  CHECK_THROWS_AS(decoded<std::vector<bool>>(raw), EncodingError);
  CHECK_THROWS_AS(decoded<std::vector<std::tuple<>>>(raw), EncodingError);
  CHECK_THROWS_AS((decoded<std::map<int, int>>(raw)), EncodingError);
  CHECK_THROWS_AS((decoded<std::vector<std::array<std::string, 100>>>(raw)), EncodingError);
}

static_assert(!Encodable<int*> && !Encodable<int&> && !Encodable<const char*>);
static_assert(!Encodable<std::string_view> && !Encodable<std::span<int>>);
static_assert(!Encodable<std::vector<std::string_view>> && !Encodable<std::optional<int*>>);
static_assert(!Encodable<std::reference_wrapper<int>> && !Encodable<std::initializer_list<int>>);
static_assert(!Encodable<std::unique_ptr<int[]>> && !Encodable<std::function<void()>>);
static_assert(!Encodable<std::map<int, int, bool (*)(int, int)>> && !Encodable<int Point::*>);

namespace refused {
struct Pointer {
  int* p;
};
struct Pointers {
  int* p[2];
};
struct Nested {
  Pointer inner;
};
struct Reference {
  int& r;
};
struct ConstReference {
  const int& r;
};
struct View {
  std::string_view text;
};
struct Derived : Point {
  std::string name;
};
struct CArray {
  std::string names[2];
};
struct BitField {
  std::string name;
  unsigned a : 1, b : 1;
};
struct Virtual {
  virtual ~Virtual() = default;
};
static_assert(!Encodable<Pointer> && !Encodable<Pointers> && !Encodable<Nested>);
static_assert(!Encodable<Reference> && !Encodable<ConstReference> && !Encodable<View>);
static_assert(!Encodable<Derived> && !Encodable<CArray> && !Encodable<BitField>);
static_assert(!Encodable<Virtual> && !Encodable<std::unique_ptr<Virtual>>);
}  // namespace refused
