// The codec's functions, for the pool and for user codecs.
#pragma once

#include <cstddef>
#include <optional>
#include <type_traits>

#include <pinion/detail/codec_travels.hpp>

namespace pinion::detail {

/// The encoded size of every T, where no value changes it; else `std::nullopt`.
template <class T>
inline constexpr std::optional<std::size_t> fixed_size = Wire<T>::fixed;

/// The exact size of an encoded value, in bytes. O(1) for fixed sizes and for strings and vectors
/// of fixed sizes, else O(items). `EncodingError` for a value that cannot be encoded.
template <class T>
constexpr std::size_t encoded_size(const T& value) {
  require_travels<T>();
  if constexpr (Encodable<T>) {
    return Wire<T>::measure(value, 0);
  } else {
    return 0;
  }
}

/// Writes exactly `encoded_size(value)` bytes.
template <class T>
void encode(Writer& writer, const T& value) {
  require_travels<T>();
  if constexpr (Encodable<T>) Wire<T>::write(writer, value);
}

/// Reads a value from bytes that need not come from `encode`: what does not fit is an
/// `EncodingError`, never undefined behaviour, and no more memory is taken than a small multiple of
/// the bytes that are left. A `bool` or an enumeration inside a struct that is copied as bytes is
/// taken as it comes. T need not be default constructible.
template <class T>
[[nodiscard]] T decode(Reader& reader) {
  require_travels<T>();
  if constexpr (Encodable<T>) {
    return Wire<T>::read(reader);
  } else {
    throw_encoding_error("this type cannot travel");
  }
}

}  // namespace pinion::detail
