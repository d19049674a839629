// How the callable itself travels: nothing, its bytes, a code token, or its codec.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <pinion/detail/calling_stack.hpp>
#include <pinion/detail/codec_entry.hpp>

namespace pinion::detail {

enum class Closure {
  nothing,  ///< empty: its type says everything
  bytes,    ///< trivially copyable: a lambda's captures, or a plain functor
  encoded,  ///< a function pointer, a functor with a codec, or an aggregate of what can travel
  impossible,
};

template <class F>
consteval Closure find_closure() {
  if constexpr (HasCodec<F> || FunctionPointer<F>) {
    return Closure::encoded;
  } else if constexpr (std::is_empty_v<F> && Bytes<F>) {
    return Closure::nothing;
  } else if constexpr (is_flat<F>) {
    return Closure::bytes;
  } else {
    return Encodable<F> ? Closure::encoded : Closure::impossible;
  }
}

/// How a decayed callable travels.
template <class F>
inline constexpr Closure closure_kind = find_closure<F>();

template <class F>
inline constexpr bool closure_travels = closure_kind<F> != Closure::impossible;

/// Fails to compile, with a sentence that says what to do instead, unless F can travel.
template <class F>
constexpr void require_closure() {
  if constexpr (std::is_class_v<F> && !closure_travels<F>) {
    constexpr Refusal why = decltype(judge<F>())::why;
    static_assert(why != Refusal::unknown_class,
                  "pinion: this callable cannot travel: what it holds is not trivially copyable (a "
                  "lambda that captures a std::string or a std::vector, for one). Pass that as an "
                  "argument, or use a struct with named members, or specialise pinion::codec for "
                  "it. Of a pinion::SharedArray capture the view().");
    if constexpr (why != Refusal::unknown_class) require_travels<F>();
  } else if constexpr (!closure_travels<F>) {
    require_travels<F>();
  }
}

/// Throws `EncodingError` if a word of the closure points into the calling thread's stack: then a
/// reference or a pointer was captured. Pointers to elsewhere are not noticed, and a number or
/// leftover padding that happens to look like such an address is refused too.
template <class F>
void check_closure(const F& f) {
  if constexpr (closure_kind<F> == Closure::bytes && sizeof(F) >= sizeof(std::uintptr_t) &&
                alignof(F) >= alignof(std::uintptr_t)) {
    const StackBounds& stack = calling_stack();
    for (std::size_t i = 0; i + sizeof(std::uintptr_t) <= sizeof(F); i += sizeof(std::uintptr_t)) {
      std::uintptr_t word = 0;
      std::memcpy(&word, reinterpret_cast<const std::byte*>(&f) + i, sizeof word);
      if (stack.holds(word)) [[unlikely]] {
        throw_encoding_error(
            "the callable captured a reference or a pointer to a variable on the caller's stack, "
            "which is not there in another process: capture by value, or pass it as an argument");
      }
    }
  }
}

/// The encoded size of every F, where no value changes it; else `std::nullopt`.
template <class F>
inline constexpr std::optional<std::size_t> fixed_callable_size = [] {
  if constexpr (closure_kind<F> == Closure::nothing) {
    return FixedSize(0);
  } else if constexpr (closure_kind<F> == Closure::bytes) {
    return FixedSize(sizeof(F));
  } else {
    return fixed_size<F>;
  }
}();

/// The exact size of an encoded callable, in bytes.
template <class F>
constexpr std::size_t callable_size(const F& f) {
  if constexpr (fixed_callable_size<F>) {
    return *fixed_callable_size<F>;
  } else {
    return encoded_size(f);
  }
}

/// Writes exactly `callable_size(f)` bytes. The caller has called `check_closure`.
template <class F>
void encode_callable([[maybe_unused]] Writer& writer, [[maybe_unused]] const F& f) {
  if constexpr (closure_kind<F> == Closure::bytes) {
    writer.bytes(std::addressof(f), sizeof(F));
  } else if constexpr (closure_kind<F> == Closure::encoded) {
    encode(writer, f);
  }
}

/// The callable again. It need not be default constructible.
template <class F>
[[nodiscard]] F decode_callable([[maybe_unused]] Reader& reader) {
  if constexpr (closure_kind<F> == Closure::nothing) {
    return std::bit_cast<F>(std::array<std::byte, sizeof(F)>{});
  } else if constexpr (closure_kind<F> == Closure::bytes) {
    return reader.value<F>();
  } else {
    return decode<F>(reader);
  }
}

}  // namespace pinion::detail
