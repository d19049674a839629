// Strings, paths and error codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>

#include <pinion/detail/codec_wire.hpp>

namespace pinion::detail {

/// A length and the characters.
template <class C, class Traits, class Allocator>
struct StandardWire<std::basic_string<C, Traits, Allocator>> {
  using String = std::basic_string<C, Traits, Allocator>;
  using Inner = TypeList<C>;
  static constexpr FixedSize fixed = std::nullopt;
  static constexpr std::size_t least = sizeof(std::uint64_t);

  static std::size_t measure(const String& v, unsigned) noexcept {
    return least + v.size() * sizeof(C);
  }
  static void write(Writer& writer, const String& v) {
    writer.count(v.size());
    writer.bytes(v.data(), v.size() * sizeof(C));
  }
  static String read(Reader& reader) {
    const std::size_t length = reader.count(sizeof(C));
    if constexpr (sizeof(C) == 1) {
      return String(reinterpret_cast<const C*>(reader.take(length)), length);
    } else {  // the bytes may lie unaligned
      String v(length, C{});
      reader.bytes(v.data(), length * sizeof(C));
      return v;
    }
  }
};

/// `std::filesystem::path`, known by its shape: its header is a heavy one.
template <class T>
concept Path = requires(const T& v, const typename T::string_type& text) {
  { v.native() } -> std::same_as<const typename T::string_type&>;
  { v.lexically_normal() } -> std::same_as<T>;
  { v.root_directory() } -> std::same_as<T>;
  T(text);
};

template <Path T>
struct StandardWire<T> {
  using Text = StandardWire<typename T::string_type>;
  using Inner = TypeList<>;
  static constexpr FixedSize fixed = std::nullopt;
  static constexpr std::size_t least = Text::least;
  static std::size_t measure(const T& v, unsigned depth) {
    return Text::measure(v.native(), depth);
  }
  static void write(Writer& writer, const T& v) { Text::write(writer, v.native()); }
  static T read(Reader& reader) { return T(Text::read(reader)); }
};

/// Categories are objects with an address, so only the two of the system itself travel.
template <>
struct StandardWire<std::error_code> {
  using Inner = TypeList<>;
  static constexpr FixedSize fixed = 1 + sizeof(std::int32_t);
  static constexpr std::size_t least = *fixed;
  static constexpr std::size_t measure(const std::error_code&, unsigned) noexcept { return *fixed; }

  static void write(Writer& writer, const std::error_code& v) {
    const bool system = v.category() == std::system_category();
    if (!system && v.category() != std::generic_category()) {
      throw_encoding_error(
          "a std::error_code travels only with the system or the generic category; pass "
          "its value and its category's name");
    }
    writer.value(static_cast<std::uint8_t>(system));
    writer.value(static_cast<std::int32_t>(v.value()));
  }
  static std::error_code read(Reader& reader) {
    const bool system = BoolWire::read(reader);
    const auto number = reader.value<std::int32_t>();
    return {number, system ? std::system_category() : std::generic_category()};
  }
};

}  // namespace pinion::detail
