#include <doctest/doctest.h>

#include <pinion/errors.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <ios>
#include <iterator>
#include <new>
#include <random>
#include <regex>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <vector>

#include "lib/pool/remote_exception.hpp"
#include "lib/pool/remote_record.hpp"
#include "tests/unit/remote_exception_helpers.hpp"

using namespace pinion::pool::testing;

namespace {
// How many more allocations succeed; negative for any number.
thread_local int allocations_left = -1;
}  // namespace

// The replacements that let a test run out of memory at a chosen place. Not inlined, or the
// compiler sees memory of new go to free.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (allocations_left == 0) throw std::bad_alloc();
  if (allocations_left > 0) --allocations_left;
  void* p = std::malloc(size == 0 ? 1 : size);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

TEST_CASE("a what() of 1 MiB is cut with a note, at a character") {
  const std::string ascii(1 << 20, 'x');
  const Bytes bytes = encoded_error(std::runtime_error(ascii));
  CHECK(bytes.size() < 80 * 1024);
  const std::string what = as_remote(decode_exception(bytes)).what();
  CHECK(what.size() > 64 * 1024);
  CHECK(what.ends_with("[... 983040 bytes cut]"));

  std::string umlauts = "x";
  while (umlauts.size() < (1 << 20)) umlauts += "\xc3\xa4";
  const auto error = decode_exception(encoded_error(std::runtime_error(umlauts)));
  const std::string cut = as_remote(error).what();
  const auto end = cut.find(" [...");
  REQUIRE(end != std::string::npos);
  CHECK(cut[end - 1] == '\xa4');
}

TEST_CASE("the origin's backtrace travels along") {
  auto traced = origin;
  traced.backtrace = "#0 here\n#1 there";
  const auto error =
      decode_exception(encode_exception(std::make_exception_ptr(std::runtime_error("x")), traced));
  CHECK(as_remote(error).backtrace() == "#0 here\n#1 there");
}

TEST_CASE("a nested exception comes back as a chain, as text and to rethrow") {
  const Bytes bytes = encoded([] {
    try {
      try {
        throw user::SolverError("inner", 5);
      } catch (...) {
        std::throw_with_nested(std::out_of_range("middle"));
      }
    } catch (...) {
      std::throw_with_nested(user::TextError("outer"));
    }
  });
  const auto error = decode_exception(bytes);
  const RemoteError& remote = as_remote(error);
  CHECK(remote.type_name() == "user::TextError");
  REQUIRE(remote.nested().size() == 2);
  CHECK(remote.nested()[0].type_name == "std::out_of_range");
  CHECK(remote.nested()[0].what == "middle");
  CHECK(remote.nested()[1].type_name == "user::SolverError");
  CHECK(remote.nested()[1].what == "inner");
  CHECK(remote.describe().find("from user::SolverError: inner") != std::string::npos);
  CHECK(remote.describe().find("worker 3 (pid 4321), item 77") != std::string::npos);

  bool saw_inner = false;
  try {
    throw_remote(bytes);
  } catch (const user::TextError& outer) {
    try {
      std::rethrow_if_nested(outer);
    } catch (const std::out_of_range& middle) {
      try {
        std::rethrow_if_nested(middle);
      } catch (const user::SolverError& inner) {
        CHECK(inner.step() == 5);
        saw_inner = true;
        std::rethrow_if_nested(inner);  // the end: does nothing
      }
    }
  }
  CHECK(saw_inner);
}

TEST_CASE("a type that is a nested_exception itself comes back with the chain as text") {
  const auto error = decode_exception(encoded([] {
    try {
      throw std::out_of_range("inside");
    } catch (...) {
      throw user::NestingError("outside");
    }
  }));
  CHECK(is<user::NestingError>(error));
  REQUIRE(as_remote(error).nested().size() == 1);
  CHECK(as_remote(error).nested()[0].what == "inside");
}

TEST_CASE("a chain that is too deep is cut and says so") {
  std::exception_ptr error = std::make_exception_ptr(std::runtime_error("bottom"));
  for (int i = 0; i < 100; ++i) {
    try {
      std::rethrow_exception(error);
    } catch (...) {
      try {
        std::throw_with_nested(std::runtime_error(std::string(1 << 17, 'n')));
      } catch (...) {
        error = std::current_exception();
      }
    }
  }
  const Bytes bytes = encode_exception(error, origin);
  CHECK(bytes.size() <= pinion::pool::exception_bytes_max);
  const auto decoded = decode_exception(bytes);
  REQUIRE(as_remote(decoded).nested().size() == 16);
  CHECK(as_remote(decoded).nested().back().what.ends_with("[nested deeper]"));
}

TEST_CASE("an error that crosses twice keeps its type, name, chain and backtrace") {
  auto traced = origin;
  traced.backtrace = "#0 first";
  const Bytes first = [&] {
    try {
      try {
        throw std::out_of_range("inner");
      } catch (...) {
        std::throw_with_nested(user::SolverError("outer", 8));
      }
    } catch (...) {
      return encode_exception(std::current_exception(), traced);
    }
    return Bytes();
  }();
  const Bytes second =
      encode_exception(decode_exception(first), {.worker = 9, .pid = 10, .item = 11});
  const auto error = decode_exception(second);
  CHECK(is<user::SolverError>(error));
  const RemoteError& remote = as_remote(error);
  CHECK(remote.type_name() == "user::SolverError");
  CHECK(remote.worker() == 9);
  CHECK(remote.backtrace() == "#0 first");
  REQUIRE(remote.nested().size() == 1);
  CHECK(remote.nested()[0].type_name == "std::out_of_range");
}

TEST_CASE("the same bytes decoded twice give separate objects") {
  const Bytes bytes = encoded_error(std::out_of_range("x"));
  const auto first = decode_exception(bytes);
  const auto second = decode_exception(bytes);
  CHECK(&as_remote(first) != &as_remote(second));
  const std::exception_ptr thrown[] = {[&] {
                                         try {
                                           throw_remote(bytes);
                                         } catch (...) {
                                           return std::current_exception();
                                         }
                                       }(),
                                       [&] {
                                         try {
                                           throw_remote(bytes);
                                         } catch (...) {
                                           return std::current_exception();
                                         }
                                       }()};
  CHECK(&as_remote(thrown[0]) != &as_remote(thrown[1]));
}

TEST_CASE("without memory to describe it an error is a bad_alloc that says so") {
  const auto error = std::make_exception_ptr(std::runtime_error("large"));
  allocations_left = 0;
  const Bytes bytes = encode_exception(error, origin);
  allocations_left = -1;
  CHECK(bytes.empty());
  const auto decoded = decode_exception(bytes);
  CHECK(is<std::bad_alloc>(decoded));
  CHECK(is<RemoteError>(decoded));
  CHECK(std::string(as_remote(decoded).what()).find("no memory left") != std::string::npos);
}

TEST_CASE("memory that runs out anywhere on the way leaves a whole error or none") {
  const auto error = std::make_exception_ptr(
      std::filesystem::filesystem_error("copy", std::string(100, 'a'), std::string(100, 'b'), {}));
  bool whole = false;
  int allocations = 0;
  for (; !whole && allocations < 1000; ++allocations) {
    allocations_left = allocations;
    const Bytes bytes = encode_exception(error, origin);
    whole = allocations_left > 0;  // some were not needed
    allocations_left = -1;
    const auto decoded = decode_exception(bytes);
    CHECK(is<RemoteError>(decoded));
    if (bytes.empty()) {
      CHECK(is<std::bad_alloc>(decoded));
    } else {
      CHECK(is<std::system_error>(decoded));
    }
    if (whole) CHECK(is<std::filesystem::filesystem_error>(decoded));
  }
  CHECK(whole);
  CHECK(allocations > 5);
}

TEST_CASE("memory that runs out while an error is decoded is a bad_alloc or a nearer base") {
  const Bytes bytes = encoded_error(
      std::filesystem::filesystem_error("copy", std::string(100, 'a'), std::string(100, 'b'), {}));
  bool whole = false;
  for (int allocations = 0; !whole && allocations < 1000; ++allocations) {
    std::exception_ptr decoded;
    bool out_of_memory = false;
    allocations_left = allocations;
    try {
      decoded = decode_exception(bytes);
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
    whole = allocations_left > 0;
    allocations_left = -1;
    CHECK(out_of_memory == (decoded == nullptr));
    if (decoded) CHECK(is<RemoteError>(decoded));
    if (whole) CHECK(is<std::filesystem::filesystem_error>(decoded));
  }
  CHECK(whole);
}

TEST_CASE("a kind is forgotten with its registration, and its place is used again") {
  struct Local : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
  };
  for (int i = 0; i < 3; ++i) {
    const Bytes before = encoded_error(Local("x"));
    CHECK_FALSE(is<Local>(decode_exception(before)));
    const pinion::detail::ExceptionRegistration here(pinion::detail::registered_exception<Local>());
    CHECK(is<std::invalid_argument>(decode_exception(before)));
    const Bytes during = encoded_error(Local("x"));
    CHECK(is<Local>(decode_exception(during)));
  }
}

TEST_CASE("bytes that are no error give an EncodingError") {
  const Bytes good = encoded_error(std::out_of_range("x"));
  for (std::size_t size = 1; size < good.size(); ++size) {
    const auto error = decode_exception(std::span(good).first(size));
    CHECK(is<pinion::EncodingError>(error));
    CHECK_FALSE(is<RemoteError>(error));
  }
  Bytes longer = good;
  longer.push_back(std::byte{0});
  CHECK(is<pinion::EncodingError>(decode_exception(longer)));
  const Bytes huge(pinion::pool::exception_bytes_max + 1, std::byte{1});
  CHECK(is<pinion::EncodingError>(decode_exception(huge)));
  CHECK_THROWS_AS(throw_remote(Bytes(100, std::byte{0})), pinion::EncodingError);
}

TEST_CASE("an unknown name of a type gives a runtime_error with the text") {
  pinion::pool::RemoteRecord record;
  record.levels.push_back({"Made::Up", "text", {{"4Made", ""}, {"", ""}}});
  const auto error = decode_exception(pinion::pool::write_record(record));
  CHECK(is<std::runtime_error>(error));
  CHECK(as_remote(error).type_name() == "Made::Up");
  CHECK(std::string(as_remote(error).what()) == "text");
}

namespace {

std::vector<Bytes> seeds() {
  std::vector<Bytes> all;
  all.push_back(encoded_error(std::out_of_range("x")));
  all.push_back(encoded_error(std::system_error(ENOENT, std::generic_category(), "open")));
  all.push_back(encoded_error(std::filesystem::filesystem_error("copy", "/a", "/b", {})));
  all.push_back(encoded_error(std::future_error(std::future_errc::no_state)));
  all.push_back(encoded_error(std::regex_error(std::regex_constants::error_paren)));
  all.push_back(encoded_error(std::ios_base::failure("stream")));
  all.push_back(encoded_error(pinion::WorkerLost({.worker = 1, .item = 2, .hint = "h"})));
  all.push_back(encoded_error(pinion::ResourceError("a", "b", "c")));
  all.push_back(encoded_error(user::SolverError("diverged", 12)));
  all.push_back(encoded([] {
    try {
      throw user::TextError("inner");
    } catch (...) {
      std::throw_with_nested(std::bad_cast());
    }
  }));
  return all;
}

void mutate(Bytes& bytes, std::mt19937_64& random) {
  const auto at = [&] { return static_cast<std::size_t>(random() % bytes.size()); };
  switch (random() % 5) {
    case 0:
      bytes[at()] ^= static_cast<std::byte>(1U << (random() % 8));
      break;
    case 1:
      bytes[at()] = static_cast<std::byte>(random());
      break;
    case 2:
      bytes.resize(1 + at());
      break;
    case 3: {  // a number, of the kind that lengths and codes are
      const std::uint32_t numbers[] = {
          0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, static_cast<std::uint32_t>(random())};
      const std::uint32_t number = numbers[random() % std::size(numbers)];
      const std::size_t place = at();
      std::memcpy(bytes.data() + place, &number, std::min(sizeof number, bytes.size() - place));
      break;
    }
    default:
      bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at()),
                   static_cast<std::byte>(random()));
  }
}

}  // namespace

TEST_CASE("100,000 damaged errors are each decoded or refused, and never worse") {
  const std::uint64_t seed = 20240611;
  MESSAGE("seed ", seed);
  std::mt19937_64 random(seed);
  const std::vector<Bytes> good = seeds();
  int refused = 0;
  int decoded = 0;
  for (int i = 0; i < 100'000; ++i) {
    Bytes bytes = good[random() % good.size()];
    for (auto n = random() % 3 + 1; n > 0; --n) mutate(bytes, random);
    try {
      throw_remote(bytes);
    } catch (const RemoteError& e) {
      decoded += std::strlen(e.what()) <= bytes.size() + 1024;
    } catch (const pinion::EncodingError&) {
      ++refused;
    }
  }
  CHECK(refused + decoded == 100'000);
  CHECK(refused > 1000);
  CHECK(decoded > 1000);
}
