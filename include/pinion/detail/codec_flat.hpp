// Which values are their bytes: level 0 of the codec.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>

#include <pinion/detail/codec_custom.hpp>
#include <pinion/detail/codec_members.hpp>

namespace pinion::detail {

/// Standard types that only point at what somebody else owns.
template <class T>
inline constexpr bool is_borrowed = false;
template <class T, std::size_t n>
inline constexpr bool is_borrowed<std::span<T, n>> = true;
template <class C, class Traits>
inline constexpr bool is_borrowed<std::basic_string_view<C, Traits>> = true;
template <class T>
inline constexpr bool is_borrowed<std::reference_wrapper<T>> = true;
template <class T>
inline constexpr bool is_borrowed<std::initializer_list<T>> = true;

template <class T>
inline constexpr bool is_std_array = false;
template <class T, std::size_t n>
inline constexpr bool is_std_array<std::array<T, n>> = true;

/// A function pointer. It travels as a token, never as its bytes.
template <class T>
concept FunctionPointer = std::is_pointer_v<T> && std::is_function_v<std::remove_pointer_t<T>>;

/// Types of level 1: each specialises this with how it is measured, written and read.
template <class T>
struct StandardWire {
  static constexpr bool unknown = true;
};
template <class T>
concept StandardType = !requires {
  StandardWire<T>::unknown;
};

/// Trivially copyable objects that the language lets us copy or move.
template <class T>
concept Bytes = std::is_trivially_copyable_v<T> &&
    (std::is_copy_constructible_v<T> || std::is_move_constructible_v<T>);

template <class T, bool bools>
consteval bool find_flat();

/// Flat: the value is its bytes, as far as one can see: members of a class that is no aggregate
/// (private ones, a closure's) and of unions are not visible.
template <class T>
inline constexpr bool is_flat = find_flat<T, true>();

/// Flat and without a visible `bool`: any bytes make a value, so whole ranges are copied.
template <class T>
inline constexpr bool is_block = find_flat<T, false>();

template <class T>
struct AcceptFlat : std::bool_constant<is_flat<T>> {};
template <class T>
struct AcceptBlock : std::bool_constant<is_block<T>> {};

template <class T, bool bools>
consteval bool find_flat() {
  if constexpr (HasCodec<T> || is_borrowed<T>) {
    return false;
  } else if constexpr (std::is_same_v<T, bool>) {
    return bools;
  } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_null_pointer_v<T>) {
    return true;
  } else if constexpr (std::is_array_v<T>) {
    return find_flat<std::remove_cv_t<std::remove_extent_t<T>>, bools>();
  } else if constexpr (is_std_array<T>) {
    return std::tuple_size_v<T> != 0 && find_flat<typename T::value_type, bools>();
  } else if constexpr (!(std::is_class_v<T> || std::is_union_v<T>) || StandardType<T>) {
    return false;
  } else if constexpr (!Bytes<T>) {
    return false;
  } else if constexpr (std::is_class_v<T> && std::is_aggregate_v<T>) {
    return !has_reference<T> && (bools ? all_parts<T, AcceptFlat> : all_parts<T, AcceptBlock>);
  } else {
    return true;
  }
}

}  // namespace pinion::detail
