// Values that may be absent or of one type among several: optional, variant and owning pointers.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <pinion/detail/codec_wire.hpp>

namespace pinion::detail {

/// A byte that says whether there is a value, and the value.
template <class Box, class T, class Make>
struct BoxWire {
  using Inner = TypeList<T>;
  static constexpr FixedSize fixed = std::nullopt;
  static constexpr std::size_t least = 1;

  static std::size_t measure(const Box& v, unsigned depth) {
    return 1 + (v ? Wire<T>::measure(*v, deeper(depth)) : 0);
  }
  static void write(Writer& writer, const Box& v) {
    BoolWire::write(writer, static_cast<bool>(v));
    if (v) Wire<T>::write(writer, *v);
  }
  static Box read(Reader& reader) {
    if (!BoolWire::read(reader)) return Box{};
    const Reader::Nesting level(reader);
    return Make{}(reader);
  }
};

template <class T>
struct MakeOptional {
  std::optional<T> operator()(Reader& reader) const {
    return std::optional<T>(std::in_place, Wire<std::remove_const_t<T>>::read(reader));
  }
};
template <class T>
struct MakeUnique {
  std::unique_ptr<T> operator()(Reader& reader) const {
    return std::unique_ptr<T>(new T(Wire<std::remove_const_t<T>>::read(reader)));
  }
};
template <class T>
struct MakeShared {
  std::shared_ptr<T> operator()(Reader& reader) const {
    return std::make_shared<T>(Wire<std::remove_const_t<T>>::read(reader));
  }
};

template <class T>
struct StandardWire<std::optional<T>>
    : BoxWire<std::optional<T>, std::remove_const_t<T>, MakeOptional<T>> {};

/// Owning pointers travel by value: two `shared_ptr` to one object arrive as two objects.
template <class T, class Deleter>
struct StandardWire<std::unique_ptr<T, Deleter>>
    : BoxWire<std::unique_ptr<T, Deleter>, std::remove_const_t<T>, MakeUnique<T>> {
  static constexpr bool foreign_deleter = !std::is_same_v<Deleter, std::default_delete<T>>;
  static constexpr bool points_to_array = std::is_array_v<T>;
};
template <class T>
struct StandardWire<std::shared_ptr<T>>
    : BoxWire<std::shared_ptr<T>, std::remove_const_t<T>, MakeShared<T>> {
  static constexpr bool points_to_array = std::is_array_v<T>;
};

/// The index of the alternative in two bytes, and its value.
template <class... T>
struct StandardWire<std::variant<T...>> {
  using Variant = std::variant<T...>;
  using Index = std::uint16_t;
  using Inner = TypeList<T...>;
  static constexpr FixedSize fixed = [] {
    constexpr std::array<FixedSize, sizeof...(T)> sizes{Wire<T>::fixed...};
    const bool same = sizes[0] && ((Wire<T>::fixed == sizes[0]) && ...);
    return same ? FixedSize(sizeof(Index) + *sizes[0]) : std::nullopt;
  }();
  static constexpr std::size_t least = sizeof(Index) + std::min({Wire<T>::least...});

  static std::size_t measure(const Variant& v, unsigned depth) {
    check(v);
    if constexpr (fixed) {
      return *fixed;
    } else {
      const unsigned below = deeper(depth);
      return sizeof(Index) + std::visit(
                                 [below]<class U>(const U& value) -> std::size_t {
                                   return Wire<U>::measure(value, below);
                                 },
                                 v);
    }
  }
  static void write(Writer& writer, const Variant& v) {
    check(v);
    writer.value(static_cast<Index>(v.index()));
    std::visit([&writer]<class U>(const U& value) { Wire<U>::write(writer, value); }, v);
  }
  static Variant read(Reader& reader) {
    const Index index = reader.number<Index>();
    const Reader::Nesting level(reader);
    return read_from(reader, index, std::index_sequence_for<T...>{});
  }

 private:
  static void check(const Variant& v) {
    if (v.valueless_by_exception()) {
      throw_encoding_error("a std::variant that lost its value cannot travel");
    }
  }
  template <std::size_t... I>
  static Variant read_from(Reader& reader, Index index, std::index_sequence<I...>) {
    using Alternative = Variant (*)(Reader&);
    static constexpr std::array<Alternative, sizeof...(T)> alternatives{
        [](Reader& from) { return Variant(std::in_place_index<I>, Wire<T>::read(from)); }...};
    if (index >= alternatives.size()) {
      throw_encoding_error("an encoded std::variant names an alternative it has not");
    }
    return alternatives[index](reader);
  }
};

}  // namespace pinion::detail
