#include <doctest/doctest.h>

#include <pinion/errors.hpp>

#include <any>
#include <cstring>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <variant>
#include <vector>

#include "tests/unit/remote_exception_helpers.hpp"

using namespace pinion::pool::testing;

TEST_CASE("exceptions of <stdexcept> come back as themselves and as RemoteError") {
  check_round_trip(std::logic_error("a"));
  check_round_trip(std::invalid_argument("b"));
  check_round_trip(std::domain_error("c"));
  check_round_trip(std::length_error("d"));
  check_round_trip(std::out_of_range("e"));
  check_round_trip(std::runtime_error("f"));
  check_round_trip(std::range_error("g"));
  check_round_trip(std::overflow_error("h"));
  check_round_trip(std::underflow_error(""));
}

TEST_CASE("exceptions without a text of their own come back as themselves") {
  check_round_trip(std::exception());
  check_round_trip(std::bad_alloc());
  check_round_trip(std::bad_array_new_length());
  check_round_trip(std::bad_cast());
  check_round_trip(std::bad_any_cast());
  check_round_trip(std::bad_typeid());
  check_round_trip(std::bad_exception());
  check_round_trip(std::bad_optional_access());
  check_round_trip(std::bad_variant_access());
  check_round_trip(std::bad_function_call());
  check_round_trip(std::bad_weak_ptr());
}

TEST_CASE("a system_error keeps its code, category and text") {
  for (const std::error_category* category : {&std::generic_category(), &std::system_category(),
                                              &std::iostream_category(), &std::future_category()}) {
    const std::system_error error(ENOENT, *category, "open /nowhere");
    check_comes_back_as<std::system_error>(encoded_error(error), error.what(),
                                           [&](const std::system_error& e) {
                                             CHECK(e.code() == error.code());
                                             const std::system_error sliced(e);
                                             CHECK(std::string(sliced.what()) == error.what());
                                           });
  }
  const std::error_code code(EAGAIN, std::generic_category());
  check_round_trip(std::system_error(code));
}

TEST_CASE("an error code of an unknown category keeps its value and its text") {
  struct OwnCategory : std::error_category {
    const char* name() const noexcept override { return "own"; }
    std::string message(int) const override { return "of my own"; }
  };
  static const OwnCategory own;
  const std::system_error error(5, own, "call");
  check_comes_back_as<std::system_error>(
      encoded_error(error), "call: of my own", [](const std::system_error& e) {
        CHECK(e.code().value() == 5);
        CHECK(std::string(e.code().category().name()) == "remote");
      });
}

TEST_CASE("exceptions with codes and paths keep them") {
  using std::filesystem::filesystem_error;
  const filesystem_error fs("copy", "/a/b", "/c",
                            std::make_error_code(std::errc::no_space_on_device));
  check_comes_back_as<filesystem_error>(encoded_error(fs), fs.what(), [](const auto& e) {
    CHECK(e.path1() == "/a/b");
    CHECK(e.path2() == "/c");
    CHECK(e.code() == std::errc::no_space_on_device);
  });
  const std::ios_base::failure io("stream", std::io_errc::stream);
  check_comes_back_as<std::ios_base::failure>(
      encoded_error(io), io.what(), [](const auto& e) { CHECK(e.code() == std::io_errc::stream); });
  const std::future_error broken(std::future_errc::broken_promise);
  check_comes_back_as<std::future_error>(encoded_error(broken), broken.what(), [](const auto& e) {
    CHECK(e.code() == std::future_errc::broken_promise);
  });
  const std::regex_error regex(std::regex_constants::error_brack);
  check_comes_back_as<std::regex_error>(encoded_error(regex), regex.what(), [](const auto& e) {
    CHECK(e.code() == std::regex_constants::error_brack);
  });
}

TEST_CASE("an exception that the library throws comes back as what it derives from") {
  const Bytes bytes = encoded([] { (void)std::vector<int>().at(1); });
  CHECK(is<std::out_of_range>(decode_exception(bytes)));
  CHECK(as_remote(decode_exception(bytes)).type_name() == "std::out_of_range");
}

TEST_CASE("pinion's own errors come back as themselves with what they carry") {
  check_round_trip(pinion::TaskTimeout());
  check_round_trip(pinion::Cancelled("by me"));
  check_round_trip(pinion::PoolClosed());
  check_round_trip(pinion::EncodingError("too large"));
  check_round_trip(pinion::ResourceError("only a text"));
  check_round_trip(pinion::StartError("init"));
  check_round_trip(pinion::WaitTimeout());
  check_round_trip(pinion::NotReady());
  check_round_trip(pinion::PoolTerminated());

  const pinion::PoolTerminated failed("no worker left");
  check_comes_back_as<pinion::PoolTerminated>(
      encoded_error(failed), failed.what(), [](auto& e) { CHECK(e.cause() == "no worker left"); });
  const pinion::ResourceError full("arena_bytes", "none", "raise it");
  check_comes_back_as<pinion::ResourceError>(encoded_error(full), full.what(), [](auto& e) {
    CHECK(e.limit() == "arena_bytes");
    CHECK(e.found() == "none");
    CHECK(e.remedy() == "raise it");
  });
  const pinion::WorkerLost lost({.worker = 1,
                                 .pid = 99,
                                 .status = pinion::ExitStatus::signaled(9),
                                 .cause = pinion::WorkerLost::Cause::killed_with_culprit,
                                 .phase = pinion::WorkerLost::Phase::started,
                                 .item = 12,
                                 .culprit = "item 4",
                                 .hint = "look"});
  check_comes_back_as<pinion::WorkerLost>(encoded_error(lost), lost.what(), [](auto& e) {
    const pinion::WorkerLost::Details& d = e.details();
    CHECK(d.worker == 1);
    CHECK(d.pid == 99);
    CHECK(d.status == pinion::ExitStatus::signaled(9));
    CHECK(d.cause == pinion::WorkerLost::Cause::killed_with_culprit);
    CHECK(d.phase == pinion::WorkerLost::Phase::started);
    CHECK(d.item == 12);
    CHECK(d.culprit == "item 4");
    CHECK(d.hint == "look");
  });
}

TEST_CASE("an error that crosses is one pinion::Error, whichever way it is caught") {
  const Bytes bytes = encoded_error(pinion::Cancelled());
  CHECK(is<pinion::Error>(decode_exception(bytes)));
  CHECK(is<RemoteError>(decode_exception(bytes)));
  CHECK(is<std::runtime_error>(decode_exception(bytes)));
}

TEST_CASE("a registered type comes back as itself") {
  check_round_trip(user::TextError("text"));
  check_round_trip(user::DefaultError());
  check_comes_back_as<user::SolverError>(encoded_error(user::SolverError("diverged", 12)),
                                         "diverged", [](const auto& e) { CHECK(e.step() == 12); });
  CHECK(as_remote(decode_exception(encoded_error(user::TextError("x")))).type_name() ==
        "user::TextError");
}

TEST_CASE("a type that derives from a registered one comes back as that") {
  const auto error = decode_exception(encoded_error(user::DerivedTextError("deep")));
  CHECK(is<user::TextError>(error));
  CHECK(as_remote(error).type_name() == "user::DerivedTextError");
}

TEST_CASE("a type that is not registered comes back as its nearest standard base") {
  const auto error = decode_exception(encoded_error(user::UnregisteredError("long")));
  CHECK(is<std::length_error>(error));
  CHECK_FALSE(is<user::UnregisteredError>(error));
  CHECK(as_remote(error).type_name() == "user::UnregisteredError");
  check_comes_back_as<std::exception>(encoded_error(user::PlainError()), "plain", [](auto&) {});
  CHECK_FALSE(is<std::runtime_error>(decode_exception(encoded_error(user::PlainError()))));
}

TEST_CASE("a final type comes back as its nearest base") {
  const auto error = decode_exception(encoded_error(user::FinalError("end")));
  CHECK(is<std::range_error>(error));
  CHECK_FALSE(is<user::FinalError>(error));
}

TEST_CASE("a type with several standard bases comes back as one that it can be caught as") {
  const auto error = decode_exception(encoded_error(user::TwoBases()));
  CHECK(is<std::range_error>(error));
  CHECK(std::string(as_remote(error).what()) == "two bases");
}

TEST_CASE("a codec that throws, and bytes that it refuses, give the nearest base") {
  const auto refused = decode_exception(encoded_error(user::RefusedError("over")));
  CHECK(is<std::overflow_error>(refused));
  CHECK_FALSE(is<user::RefusedError>(refused));

  Bytes bytes = encoded_error(user::SolverError("diverged", 1234));
  const auto at =
      std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).find("1234");
  REQUIRE(at != std::string_view::npos);
  std::memcpy(bytes.data() + at, "abcd", 4);  // std::stoi throws
  const auto error = decode_exception(bytes);
  CHECK(is<std::runtime_error>(error));
  CHECK_FALSE(is<user::SolverError>(error));
  CHECK(std::string(as_remote(error).what()) == "diverged");
}

TEST_CASE("a type whose copies throw comes back as its nearest base") {
  const Bytes bytes = encoded([] { throw user::StubbornError("stuck"); });
  CHECK(is<user::StubbornError>(decode_exception(bytes)));
  user::StubbornError::copies_throw = true;
  const auto error = decode_exception(bytes);
  user::StubbornError::copies_throw = false;
  CHECK(is<std::underflow_error>(error));
  CHECK_FALSE(is<user::StubbornError>(error));
  CHECK(std::string(as_remote(error).what()) == "stuck");
}

TEST_CASE("what is thrown without being an exception comes back as std::runtime_error") {
  const auto check = [](const Bytes& bytes, const std::string& what, const std::string& type) {
    check_comes_back_as<std::runtime_error>(bytes, what, [](auto&) {});
    CHECK(as_remote(decode_exception(bytes)).type_name() == type);
  };
  check(encoded_error(42), "an exception of type int: 42", "int");
  check(encoded([] { throw "a literal"; }), "a literal", "char const*");
  check(encoded_error(4.5), "an exception of type double", "double");
  check(encoded_error(user::NotStandard()), "an exception of type user::NotStandard",
        "user::NotStandard");
  const Bytes text = encoded_error(std::string("a string"));
  check_comes_back_as<std::runtime_error>(text, "a string", [](auto&) {});
  check(encode_exception(nullptr, origin), "an exception of another language", "unknown");
}

TEST_CASE("a what() of null is an empty text") {
  check_comes_back_as<std::exception>(encoded_error(user::NullError()), "", [](auto&) {});
}
