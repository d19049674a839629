// The door for user types: `pinion::codec<T>`. Its documentation is in <pinion/codec.hpp>.
#pragma once

#include <concepts>
#include <cstddef>

#include <pinion/detail/codec_io.hpp>

namespace pinion {

template <class T>
struct codec;

namespace detail {

/// T has a specialisation of `pinion::codec`.
template <class T>
concept HasCodec = requires(const T& value, Writer& writer, Reader& reader) {
  { codec<T>::size(value) } -> std::convertible_to<std::size_t>;
  codec<T>::encode(writer, value);
  { codec<T>::decode(reader) } -> std::same_as<T>;
};

}  // namespace detail
}  // namespace pinion
