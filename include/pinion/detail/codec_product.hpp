// Pairs, tuples and arrays: a fixed number of values, one after the other, without a header.
#pragma once

#include <array>
#include <cstddef>
#include <tuple>
#include <utility>

#include <pinion/detail/codec_wire.hpp>

namespace pinion::detail {

template <class Product, class... T>
struct ProductWire {
  using Inner = TypeList<T...>;
  static constexpr FixedSize fixed = sum_fixed<T...>();
  static constexpr std::size_t least = (std::size_t{0} + ... + Wire<T>::least);

  static constexpr std::size_t measure(const Product& v, unsigned depth) {
    if constexpr (fixed) {
      return *fixed;
    } else {
      return std::apply(
          [depth](const T&... part) {
            return (std::size_t{0} + ... + Wire<T>::measure(part, depth));
          },
          v);
    }
  }
  static void write([[maybe_unused]] Writer& writer, const Product& v) {
    std::apply([&](const T&... part) { (Wire<T>::write(writer, part), ...); }, v);
  }
  static Product read([[maybe_unused]] Reader& reader) {
    return Product{Wire<T>::read(reader)...};  // braces: in order
  }
};

template <class... T>
struct StandardWire<std::tuple<T...>> : ProductWire<std::tuple<T...>, T...> {};

template <class A, class B>
struct StandardWire<std::pair<A, B>>
    : ProductWire<std::pair<A, B>, std::remove_const_t<A>, std::remove_const_t<B>> {};

/// Arrays of what is not a block; the others are flat.
template <class T, std::size_t n>
struct StandardWire<std::array<T, n>> {
  using Inner = TypeList<T>;
  using Item = Wire<T>;
  static constexpr FixedSize fixed = [] {
    if constexpr (n == 0) {
      return FixedSize(0);
    } else {
      return Item::fixed ? FixedSize(n * *Item::fixed) : std::nullopt;
    }
  }();
  static constexpr std::size_t least = [] {
    if constexpr (n == 0) {
      return std::size_t{0};
    } else {
      return n * Item::least;
    }
  }();

  static constexpr std::size_t measure(const std::array<T, n>& v, unsigned depth) {
    if constexpr (fixed) {
      return *fixed;
    } else {
      std::size_t sum = 0;
      for (const T& item : v) sum += Item::measure(item, depth);
      return sum;
    }
  }
  static void write(Writer& writer, const std::array<T, n>& v) {
    for (const T& item : v) Item::write(writer, item);
  }
  static std::array<T, n> read([[maybe_unused]] Reader& reader) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::array<T, n>{(static_cast<void>(I), Item::read(reader))...};
    }
    (std::make_index_sequence<n>{});
  }
};

}  // namespace pinion::detail
