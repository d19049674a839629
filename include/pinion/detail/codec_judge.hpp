// Whether a type can travel, and if not, which part of it is in the way and why.
#pragma once

#include <functional>
#include <memory>
#include <type_traits>

#include <pinion/detail/codec_associative.hpp>
#include <pinion/detail/codec_choice.hpp>
#include <pinion/detail/codec_product.hpp>
#include <pinion/detail/codec_sequence.hpp>
#include <pinion/detail/codec_text.hpp>

namespace pinion::detail {

/// Why a type cannot travel; each has its sentence in codec_travels.hpp.
enum class Refusal {
  none,
  nothing,
  reference,
  character_pointer,
  raw_pointer,
  member_pointer,
  view,
  array_view,
  reference_wrapper,
  initializer_list,
  array_pointer,
  foreign_deleter,
  stateful_policy,
  erased_function,
  weak_pointer,
  polymorphic,
  union_with_state,
  base,
  c_array,
  bit_field,
  too_many,
  unknown_class,
};

template <class T>
inline constexpr bool is_character = false;
template <>
inline constexpr bool is_character<char> = true;
template <>
inline constexpr bool is_character<wchar_t> = true;
template <>
inline constexpr bool is_character<char8_t> = true;
template <>
inline constexpr bool is_character<char16_t> = true;
template <>
inline constexpr bool is_character<char32_t> = true;

template <class T>
inline constexpr Refusal named_refusal = Refusal::none;
template <class T>
inline constexpr Refusal named_refusal<std::reference_wrapper<T>> = Refusal::reference_wrapper;
template <class T>
inline constexpr Refusal named_refusal<std::initializer_list<T>> = Refusal::initializer_list;
template <class F>
inline constexpr Refusal named_refusal<std::function<F>> = Refusal::erased_function;
template <class T>
inline constexpr Refusal named_refusal<std::weak_ptr<T>> = Refusal::weak_pointer;

template <class T>
consteval Refusal refuse_pointer() {
  if (std::is_function_v<std::remove_pointer_t<T>>) return Refusal::none;
  return is_character<std::remove_cv_t<std::remove_pointer_t<T>>> ? Refusal::character_pointer
                                                                  : Refusal::raw_pointer;
}

template <class T>
consteval Refusal refuse_standard() {
  if constexpr (requires { requires StandardWire<T>::points_to_array; }) {
    return Refusal::array_pointer;
  } else if constexpr (requires { requires StandardWire<T>::foreign_deleter; }) {
    return Refusal::foreign_deleter;
  } else if constexpr (requires { requires StandardWire<T>::stateful; }) {
    return Refusal::stateful_policy;
  } else {
    return Refusal::none;
  }
}

template <class T>
consteval Refusal refuse_class() {
  if constexpr (std::is_polymorphic_v<T>) {
    return Refusal::polymorphic;
  } else if constexpr (std::is_union_v<T>) {
    return Refusal::union_with_state;
  } else {
    switch (obstacle<T>) {
      case Obstacle::none:
        return Refusal::none;
      case Obstacle::not_aggregate:
        return Refusal::unknown_class;
      case Obstacle::reference:
        return Refusal::reference;
      case Obstacle::base:
        return Refusal::base;
      case Obstacle::c_array:
        return Refusal::c_array;
      case Obstacle::too_many:
        return Refusal::too_many;
      case Obstacle::bit_field:
        return Refusal::bit_field;
    }
    return Refusal::unknown_class;
  }
}

/// What stands against T itself, whatever it is made of.
template <class T>
consteval Refusal refuse() {
  if constexpr (std::is_void_v<T>) {
    return Refusal::nothing;
  } else if constexpr (std::is_reference_v<T>) {
    return Refusal::reference;
  } else if constexpr (HasCodec<T>) {
    return Refusal::none;
  } else if constexpr (std::is_pointer_v<T>) {
    return refuse_pointer<T>();
  } else if constexpr (std::is_member_pointer_v<T>) {
    return Refusal::member_pointer;
  } else if constexpr (named_refusal<T> != Refusal::none) {
    return named_refusal<T>;
  } else if constexpr (is_borrowed<T>) {
    return Refusal::view;
  } else if constexpr (StandardType<T>) {
    return refuse_standard<T>();
  } else if constexpr (is_flat<T>) {
    return Refusal::none;
  } else if constexpr (std::is_array_v<T>) {
    return Refusal::c_array;
  } else {
    return refuse_class<T>();
  }
}

/// The outcome: a reason, and the part it holds for.
template <Refusal reason, class Part>
struct Verdict {
  static constexpr Refusal why = reason;
};

/// Judges T, which lies inside all of `Outer`. A type that contains itself (through a vector, say)
/// is judged once.
template <class T, class... Outer>
consteval auto judge() {
  if constexpr (one_of<T, Outer...>) {
    return Verdict<Refusal::none, T>{};
  } else if constexpr (refuse<T>() != Refusal::none) {
    return Verdict<refuse<T>(), T>{};
  } else {
    return judge_parts<T, Outer...>(typename Wire<T>::Inner{});
  }
}

template <class T, class... Outer>
consteval auto judge_parts(TypeList<>) {
  return Verdict<Refusal::none, T>{};
}
template <class T, class... Outer, class First, class... Rest>
consteval auto judge_parts(TypeList<First, Rest...>) {
  using One = decltype(judge<std::remove_cv_t<First>, Outer..., T>());
  if constexpr (One::why != Refusal::none) {
    return One{};
  } else {
    return judge_parts<T, Outer...>(TypeList<Rest...>{});
  }
}

}  // namespace pinion::detail
