// What a callable is sent, what it is given, and how it travels itself.
#include <alloca.h>
#include <doctest/doctest.h>
#include <pinion/codec.hpp>
#include <pinion/detail/callable_check.hpp>
#include <pinion/errors.hpp>
#include <pinion/fn.hpp>

#include <memory>
#include <new>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace pinion {
template <class T>
class Task {};
}  // namespace pinion

using namespace pinion::detail;
using pinion::EncodingError;

namespace {

int square(int x) { return x * x; }
int square_quietly(int x) noexcept { return x * x; }
std::size_t length(const std::string& text) { return text.size(); }
std::string joined(std::string&& a, const std::string& b, std::string c) {
  std::string taken = std::move(a);
  return taken + b + c;
}

struct Scale {
  double factor;
  double operator()(double x) const noexcept { return factor * x; }
};
struct Prefix {
  std::string prefix;
  std::string operator()(const std::string& text) const { return prefix + text; }
};
struct Overloaded {
  int operator()(int) const { return 1; }
  std::string operator()(const std::string& s) const { return s; }
};
struct NotDefault {
  explicit NotDefault(int v) : value(v) {}
  int operator()() const { return value; }
  int value;
};
struct Apply {
  int (*function)(int);
  int operator()(int x) const { return function(x); }
};

/// Counts its copies and moves.
struct Counted {
  Counted() = default;
  Counted(const Counted& other) : copies(other.copies + 1), moves(other.moves) {}
  Counted(Counted&& other) noexcept : copies(other.copies), moves(other.moves + 1) {}
  int copies = 0;
  int moves = 0;
};

template <class A, class B>
constexpr bool same = std::is_same_v<A, B>;

struct OneFunction : CodeMap {
  std::uint64_t to_token(const void*) override { return 1; }
  void* from_token(std::uint64_t) override { return reinterpret_cast<void*>(&square); }
};

/// The callable after a journey.
template <class F>
F travelled(const F& f) {
  require_closure<F>();
  OneFunction code;
  std::vector<std::byte> bytes(callable_size(f));
  Writer writer(bytes.data(), bytes.data() + bytes.size(), &code);
  check_closure(f);
  encode_callable(writer, f);
  REQUIRE(writer.left() == 0);
  Reader reader(bytes.data(), bytes.data() + bytes.size(), &code);
  F back = decode_callable<F>(reader);
  REQUIRE(reader.left() == 0);
  return back;
}

}  // namespace

TEST_CASE("functions, lambdas and functors have one signature; generic and overloaded ones none") {
  [[maybe_unused]] auto lambda = [](int, const std::string&) { return 1.0; };
  [[maybe_unused]] auto changing = [n = 0]() mutable noexcept { return ++n; };
  [[maybe_unused]] auto generic = [](auto x) { return x; };
  CHECK(has_one_signature<decltype(square)>);
  CHECK(has_one_signature<decltype(&square_quietly)>);
  CHECK(has_one_signature<decltype(lambda)&>);
  CHECK(has_one_signature<decltype(changing)>);
  CHECK(has_one_signature<const Scale&>);
  CHECK(has_one_signature<pinion::Fn<square>>);
  CHECK_FALSE(has_one_signature<decltype(generic)>);
  CHECK_FALSE(has_one_signature<Overloaded>);
  CHECK_FALSE(has_one_signature<int>);
  CHECK(same<parameters_of<decltype(lambda)>, std::tuple<int, std::string>>);
  CHECK(same<parameters_of<decltype(&joined)>, std::tuple<std::string, std::string, std::string>>);
}

TEST_CASE("arguments are sent as the parameter's type where it is known, else as they are") {
  [[maybe_unused]] auto generic = [](auto x) { return x; };
  CHECK(same<ArgumentTuple<decltype(&length), const char(&)[4]>, std::tuple<std::string>>);
  CHECK(same<ArgumentTuple<decltype(generic), const std::string&>, std::tuple<std::string>>);
  CHECK(same<MapArgument<Scale, int>, double>);
  CHECK(same<MapArgument<decltype(generic), int>, int>);
  CHECK(same<StarArguments<decltype(&length), std::tuple<const char*>>, std::tuple<std::string>>);
  CHECK(same<StarArguments<Overloaded, const std::pair<int, char>&>, std::tuple<int, char>>);
  auto text = make_arguments<decltype(&length)>("abc");
  CHECK(text == std::tuple(std::string("abc")));
  auto function = &length;
  CHECK(invoke_with(function, text) == 3);
  CHECK(make_arguments<Scale>(3) == std::tuple(3.0));
  CHECK(make_arguments<decltype(generic)>(std::string("x")) == std::tuple(std::string("x")));
}

TEST_CASE("an argument of the right type is moved once or copied once on its way in") {
  auto takes = [](const Counted&) {};
  Counted kept;
  const auto moved = make_arguments<decltype(takes)>(Counted());
  const auto copied = make_arguments<decltype(takes)>(kept);
  CHECK(std::get<0>(moved).copies == 0);
  CHECK(std::get<0>(moved).moves == 1);
  CHECK(std::get<0>(copied).copies == 1);
  CHECK(std::get<0>(copied).moves == 0);
}

TEST_CASE("results are what the callable returns, tasks unwrapped and references copied") {
  CHECK(same<result_of<decltype(&square), char>, int>);
  CHECK(same<result_of<Overloaded, const char(&)[2]>, std::string>);
  CHECK(same<value_of_result<pinion::Task<int>>, int>);
  CHECK(same<value_of_result<pinion::Task<void>>, void>);
  CHECK(same<value_of_result<const std::string&>, std::string>);
  CHECK(same<value_of_result<void>, void>);
  CHECK(is_task<pinion::Task<std::string>>);
  CHECK_FALSE(is_task<std::string>);
}

TEST_CASE("decoded values are moved into what takes them, and lent to const references") {
  std::tuple<std::string, std::string, std::string> owned("a", "b", "c");
  auto function = &joined;
  CHECK(invoke_with(function, owned) == "abc");
  CHECK(std::get<0>(owned).empty());
  CHECK(std::get<1>(owned) == "b");

  std::tuple<Counted> counted;
  auto by_value = [](Counted c) { return c.moves * 10 + c.copies; };
  auto by_reference = [](const Counted& c) { return c.moves * 10 + c.copies; };
  auto generic = [](auto&& c) { return std::is_rvalue_reference_v<decltype(c)>; };
  CHECK(invoke_with(by_value, counted) == 10);
  CHECK(invoke_with(by_reference, counted) == 0);
  CHECK(invoke_with(generic, counted));

  std::tuple<std::unique_ptr<int>> pointer(std::make_unique<int>(4));
  auto owns = [](std::unique_ptr<int> p) { return *p; };
  CHECK(invoke_with(owns, pointer) == 4);
  std::tuple<> nothing;
  auto counts = [n = 0]() mutable { return ++n; };
  CHECK(invoke_with(counts, nothing) == 1);
  CHECK(invoke_with(counts, nothing) == 2);
}

TEST_CASE("what may be called passes the check") {
  require_callable<decltype(square), int>();
  require_callable<decltype(&length), const char(&)[4]>();
  require_callable<Scale, int>();
  require_callable<Prefix&, std::string>();
  require_callable<Overloaded, int>();
  auto nothing = [] {};
  require_callable<decltype(nothing)>();
  auto forwards = [](auto&& x) { return x; };
  require_callable<decltype(forwards), std::string&>();
  CHECK(fixed_callable_size<decltype(nothing)> == std::size_t{0});
}

TEST_CASE("callables travel: empty ones as nothing, captures as bytes, others by the codec") {
  CHECK(travelled(&square)(3) == 9);
  CHECK(travelled(pinion::fn<square>)(3) == 9);
  CHECK(travelled(pinion::fn<square_quietly>)(4) == 16);
  CHECK(travelled([](int x) { return x + 1; })(1) == 2);
  CHECK(travelled([a = 2, b = 3.0](int x) { return a * b * x; })(1) == 6.0);
  CHECK(travelled(Scale{2})(3) == 6);
  CHECK(travelled(NotDefault(5))() == 5);
  CHECK(travelled(Apply{square})(5) == 25);
  CHECK(travelled(Prefix{"pre"})("fix") == "prefix");
  CHECK(closure_kind<Scale> == Closure::bytes);
  CHECK(closure_kind<pinion::Fn<square>> == Closure::nothing);
  CHECK(closure_kind<Apply> == Closure::encoded);
  CHECK(fixed_callable_size<Scale> == sizeof(Scale));
  CHECK_FALSE(closure_travels<decltype([s = std::string()] { return s; })>);
}

TEST_CASE("a captured reference to the caller's stack is an error that says so") {
  // Not a plain local: a sanitizer may keep those elsewhere.
  int* const on_stack = new (alloca(sizeof(int))) int(1);
  const auto heap = std::make_unique<int>(2);
  int& reference = *on_stack;
  const auto by_reference = [&reference] { return reference; };
  const auto by_pointer = [a = 1L, on_stack] { return a + *on_stack; };
  const auto elsewhere = [p = heap.get()] { return *p; };
  const auto value = [a = 3, b = 4.0] { return a * b; };
  CHECK_THROWS_AS(check_closure(by_reference), EncodingError);
  CHECK_THROWS_WITH_AS(check_closure(by_pointer), doctest::Contains("capture by value"),
                       EncodingError);
  check_closure(elsewhere);
  check_closure(value);
}

TEST_CASE("each thread's own stack counts") {
  int* const on_stack = new (alloca(sizeof(int))) int(1);
  const auto main_pointer = [on_stack] { return *on_stack; };
  bool others_pass = false;
  bool own_refused = false;
  std::thread([&] {
    check_closure(main_pointer);
    others_pass = true;
    int* const here = new (alloca(sizeof(int))) int(1);
    try {
      check_closure([here] { return *here; });
    } catch (const EncodingError&) {
      own_refused = true;
    }
  }).join();
  CHECK(others_pass);
  CHECK(own_refused);
}
