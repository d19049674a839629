// What the tests of the codec share: types of every kind, and the way there and back.
#pragma once

#include <doctest/doctest.h>
#include <pinion/codec.hpp>
#include <pinion/errors.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace codec_test {

using pinion::EncodingError;
using pinion::detail::CodeMap;
using pinion::detail::Encodable;
using pinion::detail::fixed_size;
using pinion::detail::is_flat;
using pinion::detail::Reader;
using pinion::detail::Writer;
using Bytes = std::vector<std::byte>;

inline int twice(int x) { return 2 * x; }

/// Knows one function, under one token.
struct OneFunction : CodeMap {
  std::uint64_t to_token(const void*) override { return 77; }
  void* from_token(std::uint64_t token) override {
    if (token != 77) throw EncodingError("a token that names nothing");
    return reinterpret_cast<void*>(&twice);
  }
};

inline OneFunction code_map;

template <class T>
Bytes encoded(const T& value) {
  Bytes bytes(pinion::encoded_size(value));
  Writer writer(bytes.data(), bytes.data() + bytes.size(), &code_map);
  pinion::encode(writer, value);
  REQUIRE(writer.left() == 0);
  if (fixed_size<T>) REQUIRE(*fixed_size<T> == bytes.size());
  return bytes;
}

template <class T>
T decoded(const Bytes& bytes) {
  Reader reader(bytes.data(), bytes.data() + bytes.size(), &code_map);
  T value = pinion::decode<T>(reader);
  REQUIRE(reader.left() == 0);
  return value;
}

/// There and back, also from an address that is aligned for nothing.
template <class T>
T round_trip(const T& value) {
  Bytes bytes = encoded(value);
  bytes.insert(bytes.begin(), std::byte{0});
  Reader reader(bytes.data() + 1, bytes.data() + bytes.size(), &code_map);
  static_cast<void>(pinion::decode<T>(reader));
  REQUIRE(reader.left() == 0);
  return decoded<T>({bytes.begin() + 1, bytes.end()});
}

template <class T>
void survives(const T& value) {
  CHECK(round_trip(value) == value);
}

enum class Colour : std::uint8_t { red, green };
struct Point {
  double x, y;
  bool operator==(const Point&) const = default;
};
struct Matrix {
  double cells[3][3];
  Point origin;
};
struct Person {
  std::string name;
  std::vector<int> scores;
  std::optional<Point> home;
  std::array<std::string, 2> aliases;
  bool active;
  bool operator==(const Person&) const = default;
};
struct Tree {
  int value;
  std::vector<Tree> children;
  std::unique_ptr<Tree> twin;
};
struct Flag {
  bool on;
  int level;
  bool operator==(const Flag&) const = default;
};
struct Bits {
  unsigned low : 3, high : 5;
  bool operator==(const Bits&) const = default;
};
struct Job {
  std::string name;
  int (*run)(int);
};
struct PlainJob {
  int (*run)(int);
  int argument;
};
struct Fixed {
  explicit Fixed(int v) : value(v) {}
  int value;
  bool operator==(const Fixed&) const = default;
};
struct HasConst {
  const int id;
  std::string name;
  bool operator==(const HasConst&) const = default;
};
struct Chain {
  std::shared_ptr<Chain> next;
};
struct Large {
  double values[1000];
};
class Temperature {
 public:
  explicit Temperature(std::string text) : text_(std::move(text)) {}
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};
struct Liar {
  std::string text;
};
union Word {
  int i;
  float f;
};

}  // namespace codec_test

template <>
struct pinion::codec<codec_test::Temperature> {
  static std::size_t size(const codec_test::Temperature& t) { return encoded_size(t.text()); }
  static void encode(Writer& to, const codec_test::Temperature& t) { pinion::encode(to, t.text()); }
  static codec_test::Temperature decode(Reader& from) {
    return codec_test::Temperature(pinion::decode<std::string>(from));
  }
};
template <>
struct pinion::codec<codec_test::Liar> {
  static std::size_t size(const codec_test::Liar&) { return 1; }
  static void encode(Writer& to, const codec_test::Liar& v) { pinion::encode(to, v.text); }
  static codec_test::Liar decode(Reader& from) { return {pinion::decode<std::string>(from)}; }
};
