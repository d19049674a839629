// Errors of tasks, as their callers catch them.
#include <doctest/doctest.h>
#include <unistd.h>

#include <any>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <future>
#include <ios>
#include <new>
#include <regex>
#include <system_error>
#include <typeinfo>
#include <variant>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::RemoteError;
using pinion::WorkerLost;

class SolverError : public std::runtime_error {
 public:
  SolverError(const std::string& what, int step) : std::runtime_error(what), step_(step) {}
  int step() const noexcept { return step_; }

 private:
  int step_;
};
template <>
struct pinion::ExceptionCodec<SolverError> {
  static std::string encode(const SolverError& e) { return std::to_string(e.step()); }
  static SolverError decode(const std::string& what, std::string_view bytes) {
    return SolverError(what, std::stoi(std::string(bytes)));
  }
};
PINION_EXCEPTION(SolverError);

namespace {

struct Unregistered : std::out_of_range {
  using std::out_of_range::out_of_range;
};
struct Registered : std::exception {
  explicit Registered(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};
PINION_EXCEPTION(Registered);

enum class Way { plain, coroutine, chunk };

template <class E>
void throw_it(const char* text) {
  if constexpr (std::is_constructible_v<E, const char*>) {
    throw E(text);
  } else {
    throw E();
  }
}
template <class E>
int plain(const std::string& text) {
  throw_it<E>(text.c_str());
  return 0;
}
template <class E>
pinion::Task<int> coroutine(std::string text) {
  co_await pinion::yield();
  throw_it<E>(text.c_str());
  co_return 0;
}

template <class E>
void expect(pinion::Pool& pool, Way way) {
  const std::string text = "of " + std::string(typeid(E).name());
  CAPTURE(text);
  CAPTURE(static_cast<int>(way));
  constexpr bool texted = std::is_constructible_v<E, const char*>;
  const auto call = [&] {
    if (way == Way::plain) pool.apply(plain<E>, text);
    if (way == Way::coroutine) pool.apply(coroutine<E>, text);
    if (way == Way::chunk) pool.map(plain<E>, std::vector<std::string>(20, text), 8);
  };
  try {
    call();
    FAIL("it must throw");
  } catch (const E& error) {
    const auto* remote = dynamic_cast<const RemoteError*>(&error);
    REQUIRE(remote != nullptr);
    if (texted) CHECK(std::string(error.what()) == text);
    CHECK(std::string(remote->what()) == error.what());
    CHECK(remote->pid() > 0);
    CHECK(remote->pid() != ::getpid());
    CHECK(remote->worker() < 2);
    CHECK(remote->item() == 0);
    CHECK(!remote->type_name().empty());
  }
  CHECK_THROWS_AS(call(), RemoteError);
  CHECK_THROWS_AS(call(), pinion::Error);
  CHECK_THROWS_AS(call(), std::exception);
}

template <class... E>
void expect_all(pinion::Pool& pool) {
  for (const Way way : {Way::plain, Way::coroutine, Way::chunk}) (expect<E>(pool, way), ...);
}

/// Gives the error itself to `look`.
template <class Call, class Look>
void caught(Call call, Look look) {
  bool thrown = false;
  try {
    call();
  } catch (const std::exception& error) {
    thrown = true;
    const auto* remote = dynamic_cast<const RemoteError*>(&error);
    REQUIRE(remote != nullptr);
    look(error, *remote);
  }
  CHECK(thrown);
}

}  // namespace

TEST_CASE(
    "every standard exception comes back as itself, from calls, coroutines and chunks (edge case "
    "25)") {
  CheckedPool pool(2);
  expect_all<std::logic_error, std::invalid_argument, std::domain_error, std::length_error,
             std::out_of_range, std::runtime_error, std::range_error, std::overflow_error,
             std::underflow_error>(pool);
  expect_all<std::exception, std::bad_alloc, std::bad_array_new_length, std::bad_cast,
             std::bad_typeid, std::bad_exception, std::bad_weak_ptr, std::bad_function_call,
             std::bad_any_cast, std::bad_optional_access, std::bad_variant_access>(pool);
}

TEST_CASE("the library's own throws come back too") {
  CheckedPool pool(2);
  CHECK_THROWS_AS(pool.apply([](int i) { return std::vector<int>(3).at(unsigned(i)); }, 7),
                  std::out_of_range);
  CHECK_THROWS_AS(pool.apply([](std::string s) { return std::stoi(s); }, "x"),
                  std::invalid_argument);
  CHECK_THROWS_AS(pool.apply([](std::string s) { return std::regex(s).mark_count(); }, "["),
                  std::regex_error);
}

TEST_CASE("a system_error keeps its code") {
  CheckedPool pool(2);
  const auto fails = [](int code) {
    throw std::system_error(code, std::system_category(), "opening /nowhere");
  };
  const auto fails_later = [](int code) -> pinion::Task<void> {
    co_await pinion::yield();
    throw std::system_error(code, std::generic_category(), "opening /nowhere");
  };
  for (const int code : {ENOENT, EAGAIN, 4095, -1}) {
    CAPTURE(code);
    try {
      pool.apply(fails, code);
      FAIL("it must throw");
    } catch (const std::system_error& error) {
      CHECK(error.code() == std::error_code(code, std::system_category()));
      CHECK(std::string(error.what()).starts_with("opening /nowhere"));
    }
    try {
      pool.apply(fails_later, code);
      FAIL("it must throw");
    } catch (const std::system_error& error) {
      CHECK(error.code() == std::error_code(code, std::generic_category()));
    }
  }
  CHECK_THROWS_AS(pool.apply([] { throw std::ios_base::failure("stream"); }),
                  std::ios_base::failure);
  try {
    pool.apply([] {
      char byte;
      if (::read(-1, &byte, 1) < 0) throw std::system_error(errno, std::system_category());
    });
    FAIL("it must throw");
  } catch (const std::system_error& error) {
    CHECK(error.code() == std::errc::bad_file_descriptor);
  }
}

TEST_CASE("what is no exception is a runtime_error that names its type (edge case 25)") {
  CheckedPool pool(2);
  const auto check = [](const std::exception& error, const RemoteError& remote) {
    CHECK(dynamic_cast<const std::runtime_error*>(&error) != nullptr);
    CHECK(remote.type_name() == "int");
  };
  caught([&] { pool.apply([] { throw 42; }); }, check);
  caught([&] { pool.map([](int) { throw 42; }, numbers(20), 8); }, check);
  caught(
      [&] {
        pool.apply([]() -> pinion::Task<int> {
          co_await pinion::yield();
          throw 42;
        });
      },
      check);
  caught([&] { pool.apply([] { throw std::string("text"); }); },
         [](const std::exception&, const RemoteError& remote) {
           CHECK(remote.type_name().find("string") != std::string::npos);
         });
}

TEST_CASE(
    "an unregistered type comes back as its nearest base, a registered one as itself (edge case "
    "25)") {
  CheckedPool pool(2);
  caught([&] { pool.apply([] { throw Unregistered("mine"); }); },
         [](const std::exception& error, const RemoteError& remote) {
           CHECK(dynamic_cast<const std::out_of_range*>(&error) != nullptr);
           CHECK(dynamic_cast<const Unregistered*>(&error) == nullptr);
           CHECK(remote.type_name().find("Unregistered") != std::string::npos);
           CHECK(std::string(error.what()) == "mine");
         });
  const auto diverges = [](int step) {
    if (step == 13) throw SolverError("diverged", step);
    return step;
  };
  try {
    pool.map(diverges, numbers(40), 8);
    FAIL("it must throw");
  } catch (const SolverError& error) {
    CHECK(error.step() == 13);
    CHECK(std::string(error.what()) == "diverged");
    CHECK(dynamic_cast<const RemoteError&>(error).item() == 13);
  }
  CHECK_THROWS_WITH_AS(pool.apply([](std::string s) { throw Registered(s); }, "by me"), "by me",
                       Registered);
}

TEST_CASE("a nested error keeps its chain (edge case 25)") {
  CheckedPool pool(2);
  const auto nests = [] {
    try {
      try {
        throw std::out_of_range("index 9");
      } catch (...) {
        std::throw_with_nested(std::invalid_argument("row 3"));
      }
    } catch (...) {
      std::throw_with_nested(std::runtime_error("table"));
    }
  };
  caught([&] { pool.apply(nests); },
         [](const std::exception& error, const RemoteError& remote) {
           CHECK(std::string(error.what()) == "table");
           REQUIRE(remote.nested().size() == 2);
           CHECK(remote.nested()[0].what == "row 3");
           CHECK(remote.nested()[1].what == "index 9");
           CHECK(remote.describe().find("index 9") != std::string::npos);
           CHECK_THROWS_AS(std::rethrow_if_nested(error), std::invalid_argument);
         });
}

TEST_CASE("a text of a mebibyte comes back, cut and saying so (edge case 25)") {
  CheckedPool pool(2);
  const auto shouts = [](std::size_t n) { throw std::length_error(std::string(n, 'a') + "end"); };
  for (const std::size_t size : {0U, 100U, 300U, 4000U, 60000U}) {
    CHECK(error_of([&] { pool.apply(shouts, size); }) == std::string(size, 'a') + "end");
  }
  for (int i = 0; i < 100; ++i) {
    const std::string text = error_of([&] { pool.apply(shouts, std::size_t{1} << 20); });
    REQUIRE(text.starts_with(std::string(60000, 'a')));
    REQUIRE(text.ends_with("bytes cut]"));
  }
  const auto result = pool.map_async(shouts, std::vector<std::size_t>(200, 1 << 20), 8);
  CHECK_THROWS_AS(result.get(), std::length_error);
  CHECK(pool.stats().failed == 305);
}

TEST_CASE("of several errors of a map that of the lowest index is thrown (edge case 12)") {
  CheckedPool pool(2);
  const auto fails = [](int x) {
    if (x == 3) std::this_thread::sleep_for(20ms);  // so that others fail before it
    if (x >= 3) throw std::out_of_range(std::to_string(x));
    return x;
  };
  const auto fails_later = [](int x) -> pinion::Task<int> {
    if (x == 3) co_await pinion::sleep_for(20ms);
    if (x >= 3) throw std::out_of_range(std::to_string(x));
    co_return x;
  };
  for (const int chunk : {1, 8, 50}) {
    CAPTURE(chunk);
    CHECK(error_of([&] { pool.map(fails, numbers(50), chunk); }) == "3");
    CHECK(error_of([&] { pool.map(fails_later, numbers(50), chunk); }) == "3");
  }
  CHECK(error_of([&] { pool.map(fails, numbers(50)); }) == "3");
  const auto stats = pool.stats();
  CHECK(stats.accepted == 350);  // all items ran
  CHECK(stats.failed == 7 * 47);
}

TEST_CASE("the same error got twice is two objects (edge case 26)") {
  CheckedPool pool(2);
  const auto result = pool.apply_async([] { throw SolverError("twice", 2); });
  std::exception_ptr first;
  std::exception_ptr second;
  const SolverError* one = nullptr;
  try {
    result.get();
  } catch (const SolverError& error) {
    first = std::current_exception();
    one = &error;
  }
  try {
    result.get();
  } catch (const SolverError& error) {
    second = std::current_exception();
    CHECK(&error != one);
    CHECK(std::string(error.what()) == one->what());
  }
  CHECK(first != nullptr);
  CHECK(second != nullptr);
}

TEST_CASE("an exception whose what() throws away its worker's life harms that task only") {
  struct Rude : std::runtime_error {
    using std::runtime_error::runtime_error;
    const char* what() const noexcept override { std::abort(); }
  };
  CheckedPool pool(1);
  CHECK_THROWS_AS(pool.apply([] { throw Rude("x"); }), WorkerLost);
  CHECK(pool.apply([] { return 3; }) == 3);
}

namespace {
// A call, so that the compiler does not see that it always ends the program.
[[gnu::noinline]] void throw_one() { throw 1; }
}  // namespace

TEST_CASE("an exception from a noexcept function, and one from a destructor, are deaths") {
  struct Bad {
    ~Bad() noexcept(false) { throw std::runtime_error("from a destructor"); }
  };
  CheckedPool pool(1);
  CHECK_THROWS_AS(pool.apply([]() noexcept { throw_one(); }), WorkerLost);
  CHECK_THROWS_AS(pool.apply([] {
    Bad bad;
    throw 1;
  }),
                  WorkerLost);
  CHECK_THROWS_AS(pool.apply([] { Bad bad; }), std::runtime_error);
  CHECK(pool.stats().deaths == 2);
}

TEST_CASE("deaths in the midst of a chunk tell the item and the way") {
  CheckedPool pool(2);
  for (int way = 0; way < 4; ++way) {
    const auto dies = [way](int x) {
      std::this_thread::sleep_for(10us);
      if (x != 11) return x;
      if (way == 0) std::exit(0);
      if (way == 1) ::_exit(3);
      if (way == 2) std::abort();
      std::quick_exit(9);
    };
    try {
      pool.map(dies, numbers(24), 8);
      FAIL("it must throw");
    } catch (const WorkerLost& lost) {
      CHECK(lost.item() == 11);
      CHECK(lost.cause() == WorkerLost::Cause::death);
      const std::vector<pinion::ExitStatus> ways{
          pinion::ExitStatus::exited(0), pinion::ExitStatus::exited(3),
          pinion::ExitStatus::signaled(SIGABRT), pinion::ExitStatus::exited(9)};
      CHECK(lost.status() == ways[std::size_t(way)]);
    }
  }
}
