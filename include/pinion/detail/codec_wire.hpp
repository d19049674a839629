// How each kind of value is measured, written and read. A "wire" is a class of static functions:
//
//   Inner               the types it is made of, for the check that all of them travel
//   fixed               its size if no value changes it (std::optional<std::size_t>)
//   least               the least size of any value
//   measure(v, depth)   its exact size; EncodingError beyond nesting_max levels
//   write(writer, v)    writes exactly that many bytes
//   read(reader)        the value again, or EncodingError
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include <pinion/detail/codec_flat.hpp>

namespace pinion::detail {

using FixedSize = std::optional<std::size_t>;

/// A value that is its bytes.
template <class T>
struct FlatWire {
  using Inner = TypeList<>;
  static constexpr FixedSize fixed = sizeof(T);
  static constexpr std::size_t least = sizeof(T);
  static constexpr std::size_t measure(const T&, unsigned) noexcept { return sizeof(T); }
  static void write(Writer& writer, const T& v) { writer.bytes(std::addressof(v), sizeof(T)); }
  static T read(Reader& reader) { return reader.value<T>(); }
};

/// `bool`, of which only 0 and 1 are valid bytes.
struct BoolWire {
  using Inner = TypeList<>;
  static constexpr FixedSize fixed = 1;
  static constexpr std::size_t least = 1;
  static constexpr std::size_t measure(bool, unsigned) noexcept { return 1; }
  static void write(Writer& writer, bool v) { writer.value(static_cast<std::uint8_t>(v)); }
  static bool read(Reader& reader) { return reader.number<std::uint8_t>() != 0; }
};

/// A function pointer: whether there is one, and its token.
template <class T>
struct CodeWire {
  using Inner = TypeList<>;
  static constexpr FixedSize fixed = 1 + sizeof(std::uint64_t);
  static constexpr std::size_t least = *fixed;
  static constexpr std::size_t measure(T, unsigned) noexcept { return *fixed; }
  static void write(Writer& writer, T v) {
    BoolWire::write(writer, v != nullptr);
    writer.value(v == nullptr ? std::uint64_t{0}
                              : writer.code().to_token(reinterpret_cast<const void*>(v)));
  }
  static T read(Reader& reader) {
    const bool present = BoolWire::read(reader);
    const auto token = reader.number<std::uint64_t>();
    return present ? reinterpret_cast<T>(reader.code().from_token(token)) : nullptr;
  }
};

/// A type with a `pinion::codec`.
template <class T>
struct CustomWire {
  using Inner = TypeList<>;
  static constexpr FixedSize fixed = std::nullopt;
  static constexpr std::size_t least = 0;
  static std::size_t measure(const T& v, unsigned) { return codec<T>::size(v); }
  static void write(Writer& writer, const T& v) { codec<T>::encode(writer, v); }
  static T read(Reader& reader) {
    const Reader::Nesting level(reader);
    return codec<T>::decode(reader);
  }
};

template <class T>
struct MembersWire;

/// A type that cannot travel; `require_travels` says why.
template <class T>
struct NoWire {
  using Inner = TypeList<>;
};

template <class T>
consteval auto choose_wire() {
  if constexpr (HasCodec<T>) {
    return std::type_identity<CustomWire<T>>{};
  } else if constexpr (FunctionPointer<T>) {
    return std::type_identity<CodeWire<T>>{};
  } else if constexpr (std::is_same_v<T, bool>) {
    return std::type_identity<BoolWire>{};
  } else if constexpr (is_block<T>) {
    return std::type_identity<FlatWire<T>>{};
  } else if constexpr (StandardType<T>) {
    return std::type_identity<StandardWire<T>>{};
  } else if constexpr (Separable<T>) {
    return std::type_identity<MembersWire<T>>{};
  } else if constexpr (is_flat<T>) {  // with a bool in it, but it cannot be taken apart
    return std::type_identity<FlatWire<T>>{};
  } else {
    return std::type_identity<NoWire<T>>{};
  }
}

template <class T>
using Wire = typename decltype(choose_wire<T>())::type;

template <class... T>
consteval FixedSize sum_fixed() {
  FixedSize sum = 0;
  [[maybe_unused]] const auto add = [&sum](FixedSize one) {
    sum = sum && one ? FixedSize(*sum + *one) : std::nullopt;
  };
  (add(Wire<T>::fixed), ...);
  return sum;
}

/// The depth below this one.
inline unsigned deeper(unsigned depth) {
  if (depth >= nesting_max) [[unlikely]] {
    throw_encoding_error("a value nests more than 200 levels deep, or points back at itself");
  }
  return depth + 1;
}

template <class T, class List>
struct MembersWireOf;

/// A plain aggregate: its members one after the other.
template <class T, class... M>
struct MembersWireOf<T, TypeList<M...>> {
  using Inner = TypeList<M...>;
  static constexpr FixedSize fixed = sum_fixed<M...>();
  static constexpr std::size_t least = (std::size_t{0} + ... + Wire<M>::least);

  static constexpr std::size_t measure(const T& v, unsigned depth) {
    if constexpr (fixed) {
      return *fixed;
    } else {
      std::size_t sum = 0;
      each(v, [&]<class W>(const auto& member) { sum += W::measure(member, depth); });
      return sum;
    }
  }
  static void write(Writer& writer, const T& v) {
    each(v, [&]<class W>(const auto& member) { W::write(writer, member); });
  }
  static T read(Reader& reader) { return T{Wire<M>::read(reader)...}; }

 private:
  template <class Visit>
  static constexpr void each(const T& v, Visit visit) {
    namespace tuples = boost::pfr::detail::sequence_tuple;
    const auto members = tie_members(v);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (visit.template operator()<Wire<M>>(tuples::get<I>(members)), ...);
    }
    (std::index_sequence_for<M...>{});
  }
};

template <class T>
struct MembersWire : MembersWireOf<T, typename Members<T>::Types> {};

}  // namespace pinion::detail
