// Whether an aggregate has bit-fields, to which no reference can be bound.
//
// Boost.PFR cannot say: its own bindings do not compile then. So the members are bound here once,
// inside a requires-expression. Structured bindings take a fixed number of names, hence the table;
// beyond it bit-fields are still refused, by an error inside Boost.PFR.
#pragma once

#include <type_traits>
#include <utility>

#include <pinion/detail/field_count.hpp>

namespace pinion::detail {

/// For overload resolution only.
void bind_to(auto&... members);

#define PINION_BIND(n, ...)                                         \
  if constexpr (initialiser_count<T> == (n)) {                      \
    [[maybe_unused]] auto& [__VA_ARGS__] = value;                   \
    return std::bool_constant < !requires { bind_to(__VA_ARGS__); } \
    > {};                                                           \
  } else

// clang-format off: one line a count
template <class T>
constexpr auto search_bit_fields([[maybe_unused]] T& value) {
  PINION_BIND(1, a)
  PINION_BIND(2, a, b)
  PINION_BIND(3, a, b, c)
  PINION_BIND(4, a, b, c, d)
  PINION_BIND(5, a, b, c, d, e)
  PINION_BIND(6, a, b, c, d, e, f)
  PINION_BIND(7, a, b, c, d, e, f, g)
  PINION_BIND(8, a, b, c, d, e, f, g, h)
  PINION_BIND(9, a, b, c, d, e, f, g, h, i)
  PINION_BIND(10, a, b, c, d, e, f, g, h, i, j)
  PINION_BIND(11, a, b, c, d, e, f, g, h, i, j, k)
  PINION_BIND(12, a, b, c, d, e, f, g, h, i, j, k, l)
  PINION_BIND(13, a, b, c, d, e, f, g, h, i, j, k, l, m)
  PINION_BIND(14, a, b, c, d, e, f, g, h, i, j, k, l, m, n)
  PINION_BIND(15, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)
  PINION_BIND(16, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) { return std::false_type{}; }
}
// clang-format on

/// Whether T, an aggregate that can be bound, has bit-fields among up to 16 members.
template <class T>
inline constexpr bool has_bit_field = decltype(search_bit_fields(std::declval<T&>()))::value;

#undef PINION_BIND

}  // namespace pinion::detail
