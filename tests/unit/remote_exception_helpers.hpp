// What the tests of exceptions on their way share: types of a user's, and how to look at one that
// came back.
#pragma once

#include <doctest/doctest.h>

#include <pinion/exception.hpp>

#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "lib/pool/remote_exception.hpp"

namespace user {

// Carries a member by a codec of its own.
class SolverError : public std::runtime_error {
 public:
  SolverError(const std::string& what, int step) : std::runtime_error(what), step_(step) {}
  [[nodiscard]] int step() const noexcept { return step_; }

 private:
  int step_;
};

struct TextError : std::logic_error {
  explicit TextError(const std::string& what) : std::logic_error(what) {}
};
struct DerivedTextError : TextError {
  using TextError::TextError;
};
struct DefaultError : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return "always this"; }
};
struct FinalError final : std::range_error {
  using std::range_error::range_error;
};
struct UnregisteredError : std::length_error {
  using std::length_error::length_error;
};
struct PlainError : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return "plain"; }
};
struct NullError : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return nullptr; }
};
struct RefusedError : std::overflow_error {
  using std::overflow_error::overflow_error;
};
struct StubbornError : std::underflow_error {
  explicit StubbornError(const std::string& what) : std::underflow_error(what) {}
  StubbornError(const StubbornError& other) : std::underflow_error(other) {
    if (copies_throw) throw 1;
  }
  static inline bool copies_throw = false;
};
struct TwoBases : std::range_error, std::bad_cast {
  TwoBases() : std::range_error("two") {}
  [[nodiscard]] const char* what() const noexcept override { return "two bases"; }
};
struct NotStandard {
  int value = 3;
};
struct NestingError : std::runtime_error, std::nested_exception {
  using std::runtime_error::runtime_error;
};

}  // namespace user

template <>
struct pinion::ExceptionCodec<user::SolverError> {
  static std::string encode(const user::SolverError& e) { return std::to_string(e.step()); }
  static user::SolverError decode(const std::string& what, std::string_view bytes) {
    return {what, std::stoi(std::string(bytes))};
  }
};

template <>
struct pinion::ExceptionCodec<user::RefusedError> {
  static std::string encode(const user::RefusedError&) { throw std::runtime_error("no"); }
  static user::RefusedError decode(const std::string& what, std::string_view) {
    return user::RefusedError(what);
  }
};

PINION_EXCEPTION(user::SolverError);
PINION_EXCEPTION(user::TextError);
PINION_EXCEPTION(user::TextError);  // as a header does in a second source file
PINION_EXCEPTION(user::DefaultError);
PINION_EXCEPTION(user::FinalError);
PINION_EXCEPTION(user::RefusedError);
PINION_EXCEPTION(user::StubbornError);
PINION_EXCEPTION(user::NestingError);

namespace pinion::pool::testing {

using pinion::RemoteError;
using pinion::pool::decode_exception;
using pinion::pool::encode_exception;
using pinion::pool::throw_remote;

using Bytes = std::vector<std::byte>;

inline constexpr pinion::pool::RemoteOrigin origin{.worker = 3, .pid = 4321, .item = 77};

template <class Throw>
Bytes encoded(Throw throw_it) {
  try {
    throw_it();
  } catch (...) {
    return encode_exception(std::current_exception(), origin);
  }
  FAIL("nothing was thrown");
  return {};
}

template <class T>
Bytes encoded_error(const T& error) {
  return encoded([&] { throw error; });
}

// What comes back is a T and a RemoteError, with the text and the origin. Gives it to `look`.
template <class T, class Look>
void check_comes_back_as(const Bytes& bytes, const std::string& what, Look look) {
  CHECK_FALSE(bytes.empty());
  CHECK(bytes.size() <= pinion::pool::exception_bytes_max);
  try {
    throw_remote(bytes);
  } catch (const RemoteError& e) {
    CHECK(e.what() == what);
    CHECK(e.worker() == 3);
    CHECK(e.pid() == 4321);
    CHECK(e.item() == 77);
    CHECK(e.backtrace().empty());
    CHECK_FALSE(e.type_name().empty());
  } catch (...) {
    FAIL("not a RemoteError");
  }
  try {
    throw_remote(bytes);
  } catch (const std::exception& e) {
    CHECK(e.what() == what);
  } catch (...) {
    FAIL("not a std::exception");
  }
  try {
    throw_remote(bytes);
  } catch (const T& e) {
    CHECK(e.what() == what);
    look(e);
  } catch (const RemoteError& e) {
    FAIL("came back as something else than ", typeid(T).name(), ": ", e.what());
  }
}

template <class T>
void check_round_trip(const T& error) {
  CAPTURE(typeid(T).name());
  check_comes_back_as<T>(encoded_error(error), error.what(), [](const T&) {});
}

inline const RemoteError& as_remote(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const RemoteError& e) {
    return e;  // lives as long as `error`
  }
}

template <class T>
bool is(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const T&) {
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace pinion::pool::testing
