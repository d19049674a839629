// An aggregate as a list of its members, through Boost.PFR with our own count of them: PFR's makes
// gcc 12 crash on arrays of strings.
#pragma once

// Only the table of structured bindings is taken: the rest of PFR counts.
#include <boost/pfr/detail/core17_generated.hpp>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <pinion/detail/bit_fields.hpp>
#include <pinion/detail/field_count.hpp>
#include <pinion/detail/type_list.hpp>

namespace pinion::detail {

/// References to the members of an aggregate, in order. Only for `Separable` types.
template <class T>
constexpr auto tie_members(T& value) noexcept {
  return boost::pfr::detail::tie_as_tuple(value,
                                          boost::pfr::detail::size_t_<initialiser_count<T>>{});
}

template <class Tuple>
struct MembersOf;
template <class... M>
struct MembersOf<boost::pfr::detail::sequence_tuple::tuple<M...>> {
  using Types = TypeList<std::remove_cvref_t<M>...>;
  static constexpr bool arrays = (std::is_array_v<std::remove_reference_t<M>> || ...);
};

template <class T>
using Members = MembersOf<decltype(tie_members(std::declval<T&>()))>;

/// What keeps an aggregate from being taken apart.
enum class Obstacle { none, not_aggregate, reference, base, c_array, too_many, bit_field };

template <class T>
consteval Obstacle find_obstacle() {
  if constexpr (!std::is_class_v<T> || !std::is_aggregate_v<T>) {
    return Obstacle::not_aggregate;
  } else if constexpr (has_reference<T>) {
    return Obstacle::reference;
  } else if constexpr (initialiser_count<T> == fields_unknown) {
    return Obstacle::too_many;
  } else if constexpr (has_base<T>) {
    return Obstacle::base;
  } else if constexpr (has_c_array<T>) {
    return Obstacle::c_array;
  } else if constexpr (has_bit_field<T>) {
    return Obstacle::bit_field;
  } else if constexpr (Members<T>::arrays) {
    return Obstacle::c_array;
  } else {
    return Obstacle::none;
  }
}

template <class T>
inline constexpr Obstacle obstacle = find_obstacle<T>();

/// Aggregates that can be taken apart and put together again.
template <class T>
concept Separable = obstacle<T>
== Obstacle::none;

}  // namespace pinion::detail
