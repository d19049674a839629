// A list of types, as a value.
#pragma once

#include <cstddef>
#include <type_traits>

namespace pinion::detail {

template <class... T>
struct TypeList {
  static constexpr std::size_t size = sizeof...(T);
};

template <class T, class... List>
inline constexpr bool one_of = (std::is_same_v<T, List> || ...);

}  // namespace pinion::detail
