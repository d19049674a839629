// What travels between processes, and how to teach pinion a type of your own.
#pragma once

#include <pinion/detail/codec_entry.hpp>

namespace pinion {

/// Writes values into an encoded message: `bytes(pointer, size)`, `value(trivially_copyable)` and
/// `count(items)`. Writing more than `size()` had promised is an `EncodingError`.
using detail::Writer;

/// Reads values out of an encoded message that may be damaged: `bytes`, `value<T>()`, `number<T>()`
/// for integers that decide what happens next, and `count(item_bytes_min)`. Reading past the end is
/// an `EncodingError`.
using detail::Reader;

/// Whether a type can be an argument or a result.
///
/// Without further ado these can: arithmetic types and enumerations; trivially copyable classes
/// without visible pointers and references, as their bytes; strings, `std::filesystem::path` and
/// `std::error_code`; `vector`, `deque`, `list`, `array`, `pair`, `tuple`, `optional`, `variant`,
/// the (multi and unordered) maps and sets, `unique_ptr` and `shared_ptr` (by value; null is fine)
/// of what can travel; plain aggregates of up to 100 such members, without bases, C arrays and
/// bit-fields; function pointers. Values may nest 200 levels deep.
using detail::Encodable;

using detail::decode;
using detail::encode;
using detail::encoded_size;

/// Specialise this for a class that pinion cannot take apart:
///
/// ```cpp
/// template <>
/// struct pinion::codec<Mesh> {
///   static std::size_t size(const Mesh& m) { return pinion::encoded_size(m.points()); }
///   static void encode(pinion::Writer& to, const Mesh& m) { pinion::encode(to, m.points()); }
///   static Mesh decode(pinion::Reader& from) {
///     return Mesh(pinion::decode<std::vector<Point>>(from));
///   }
/// };
/// ```
///
/// `size` is exact: `encode` writes that many bytes, and `decode` reads as many. `decode` gets
/// bytes that a crashed worker may have damaged; it throws `EncodingError` through the reader for
/// what does not fit, and may throw any exception of its own for values that make no sense. A codec
/// goes before everything else pinion knows about the type, and must be visible wherever it is
/// used.
template <class T>
struct codec;

}  // namespace pinion
