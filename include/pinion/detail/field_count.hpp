// How many initialisers an aggregate takes, and what stands in the way of taking it apart.
//
// Everything here asks "would T{...} compile?" with stand-ins that convert to whatever a member
// wants, and nothing here can make the compilation itself fail.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace pinion::detail {

/// More members than this are not taken apart (Boost.PFR's own limit).
inline constexpr std::size_t fields_max = 100;
/// The answer for an aggregate whose members cannot be counted.
inline constexpr std::size_t fields_unknown = static_cast<std::size_t>(-1);

/// Converts to any object, in what is never evaluated; the body is there for compilers that want
/// one for types without linkage. It converts also to one that can be neither copied nor moved.
struct AnyValue {
  template <class U>
  operator U() const noexcept {  // NOLINT: implicit by design
    __builtin_unreachable();
  }
};

/// Binds to any lvalue reference.
struct AnyReference {
  template <class U>
  operator U&() const noexcept {  // NOLINT: implicit by design
    __builtin_unreachable();
  }
};

/// Binds to references to const, and converts to no object.
struct AnyConstReference {
  template <class U>
  requires std::is_const_v<U>
  operator U&() const noexcept {  // NOLINT: implicit by design
    __builtin_unreachable();
  }
};

/// Converts to the base classes of T only.
template <class T>
struct AnyBase {
  template <class U>
  requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T>) operator U()
      const noexcept {  // NOLINT: implicit by design
    __builtin_unreachable();
  }
};

/// Converts to the types for which `Accepts<U>::value` holds. A member with a converting
/// constructor
/// (`std::optional<U>`) is judged by what it holds.
template <template <class> class Accepts>
struct AnyThat {
  template <class U>
  requires Accepts<U>::value operator U() const noexcept {  // NOLINT: implicit by design
    __builtin_unreachable();
  }
};

/// `N` times `A`, for lists of initialisers.
template <class A, std::size_t>
using Repeat = A;

template <class T, class A, class Sequence>
inline constexpr bool builds_impl = false;
template <class T, class A, std::size_t... I>
requires requires { T{Repeat<A, I>{}...}; }
inline constexpr bool builds_impl<T, A, std::index_sequence<I...>> = true;

/// Whether `T{A{}, A{}, ...}` with n initialisers is well-formed.
template <class T, class A, std::size_t n>
inline constexpr bool builds = builds_impl<T, A, std::make_index_sequence<n>>;

/// The most initialisers that T takes. The counts that work form one interval (a member left out
/// must have a default), so its upper end is found by going up.
template <class T, class A, std::size_t n = 0>
consteval std::size_t count_initialisers() {
  constexpr std::size_t doubtful = 16;  // from here on, ask for the end before going on one by one
  if constexpr (n > fields_max) {
    return fields_unknown;
  } else if constexpr (n == doubtful && builds<T, A, fields_max + 1>) {
    return fields_unknown;
  } else if constexpr (builds<T, A, n> && !builds<T, A, n + 1>) {
    return n;
  } else {
    return count_initialisers<T, A, n + 1>();
  }
}

/// Initialisers of an aggregate: members and base classes; each element of a C array counts.
/// `fields_unknown` above `fields_max`, or where a member cannot be made from anything (`T&`).
template <class T>
inline constexpr std::size_t initialiser_count = count_initialisers<T, AnyValue>();

template <class T, class Special, class Before, class After>
inline constexpr bool accepts_impl = false;
template <class T, class Special, std::size_t... I, std::size_t... K>
requires requires { T{Repeat<AnyValue, I>{}..., Special{}, Repeat<AnyValue, K>{}...}; }
inline constexpr bool
    accepts_impl<T, Special, std::index_sequence<I...>, std::index_sequence<K...>> = true;

/// Whether initialiser i of T may be a `Special`.
template <class T, class Special, std::size_t i>
inline constexpr bool accepts =
    accepts_impl<T, Special, std::make_index_sequence<i>,
                 std::make_index_sequence<initialiser_count<T> - i - 1>>;

template <class T, class Before, class After>
inline constexpr bool takes_braces_impl = false;
template <class T, std::size_t... I, std::size_t... K>
requires requires { T{Repeat<AnyValue, I>{}..., {}, Repeat<AnyValue, K>{}...}; }
inline constexpr bool takes_braces_impl<T, std::index_sequence<I...>, std::index_sequence<K...>> =
    true;

/// Whether T takes `{}` as initialiser i, and `after` more.
template <class T, std::size_t i, std::size_t after>
inline constexpr bool takes_braces =
    takes_braces_impl<T, std::make_index_sequence<i>, std::make_index_sequence<after>>;

/// Whether a C array of two or more elements begins at initialiser i: `{}` then stands for all of
/// them, so fewer initialisers fit behind it. (Elements without a default go unnoticed.)
template <class T, std::size_t i>
consteval bool array_begins_at() {
  constexpr std::size_t behind = initialiser_count<T> - i - 1;
  if constexpr (takes_braces<T, i, behind>) {
    return false;
  } else {
    return []<std::size_t... K>(std::index_sequence<K...>) {
      return (takes_braces<T, i, K> || ...);
    }
    (std::make_index_sequence<behind>{});
  }
}

/// Applies a test to each initialiser of T until one holds.
template <class T, class Test>
consteval bool any_initialiser(Test test) {
  if constexpr (initialiser_count<T> == fields_unknown) {
    return false;
  } else {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return (test(std::integral_constant<std::size_t, I>{}) || ...);
    }
    (std::make_index_sequence<initialiser_count<T>>{});
  }
}

/// Whether T has a C array of two or more elements among its members.
template <class T>
inline constexpr bool has_c_array = any_initialiser<T>([](auto i) {
  return array_begins_at<T, decltype(i)::value>();
});

/// Whether T, an aggregate, has a base class.
template <class T>
consteval bool find_base() {
  if constexpr (initialiser_count<T> == fields_unknown || initialiser_count<T> == 0) {
    return false;
  } else {
    return accepts<T, AnyBase<T>, 0>;
  }
}
template <class T>
inline constexpr bool has_base = find_base<T>();

/// Whether T, an aggregate, has a reference among its members. References forbid assignment.
template <class T>
consteval bool find_reference() {
  if constexpr (std::is_move_assignable_v<T>) {
    return false;
  } else if constexpr (initialiser_count<T> == fields_unknown) {
    return count_initialisers<T, AnyReference>() != fields_unknown;
  } else {
    return any_initialiser<T>(
        [](auto i) { return accepts<T, AnyConstReference, decltype(i)::value>; });
  }
}
template <class T>
inline constexpr bool has_reference = find_reference<T>();

/// Whether every visible part of T, an aggregate, satisfies `Accepts`. Parts that cannot be counted
/// are not visible.
template <class T, template <class> class Accepts>
consteval bool check_parts() {
  if constexpr (initialiser_count<T> == fields_unknown) {
    return true;
  } else {
    return builds<T, AnyThat<Accepts>, initialiser_count<T>>;
  }
}
template <class T, template <class> class Accepts>
inline constexpr bool all_parts = check_parts<T, Accepts>();

}  // namespace pinion::detail
