// Maps and sets: a count and the entries, in the container's own order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <pinion/detail/codec_sequence.hpp>

namespace pinion::detail {

/// The decoder makes its own comparison, hash and equality, so these may hold nothing.
template <class... Policy>
inline constexpr bool without_state = ((std::is_empty_v<Policy> &&
                                        std::is_default_constructible_v<Policy>)&&...);

/// The value type of a map without the `const` of its key.
template <class T>
struct Entry {
  using Type = T;
};
template <class K, class V>
struct Entry<std::pair<const K, V>> {
  using Type = std::pair<K, V>;
};

template <class Container, class... Policy>
struct AssociativeWire {
  using Item = Wire<typename Container::value_type>;
  using Read = Wire<typename Entry<typename Container::value_type>::Type>;
  using Inner = TypeList<typename Entry<typename Container::value_type>::Type>;
  static constexpr FixedSize fixed = std::nullopt;
  static constexpr std::size_t least = sizeof(std::uint64_t);
  static constexpr bool stateful = !without_state<Policy...>;

  static std::size_t measure(const Container& v, unsigned depth) {
    return measure_items<Item>(v, depth);
  }
  static void write(Writer& writer, const Container& v) {
    writer.count(v.size());
    for (const auto& item : v) Item::write(writer, item);
  }
  static Container read(Reader& reader) {
    const std::size_t count = reader.count(Item::least);
    const Reader::Nesting level(reader);
    Container v;
    if constexpr (requires { v.reserve(count); }) {
      v.reserve(reserve_for<typename Container::value_type>(reader, count));
    }
    for (std::size_t i = 0; i < count; ++i) v.emplace_hint(v.end(), Read::read(reader));
    return v;
  }
};

template <class K, class V, class C, class A>
struct StandardWire<std::map<K, V, C, A>> : AssociativeWire<std::map<K, V, C, A>, C> {};
template <class K, class V, class C, class A>
struct StandardWire<std::multimap<K, V, C, A>> : AssociativeWire<std::multimap<K, V, C, A>, C> {};
template <class K, class C, class A>
struct StandardWire<std::set<K, C, A>> : AssociativeWire<std::set<K, C, A>, C> {};
template <class K, class C, class A>
struct StandardWire<std::multiset<K, C, A>> : AssociativeWire<std::multiset<K, C, A>, C> {};

template <class K, class V, class H, class E, class A>
struct StandardWire<std::unordered_map<K, V, H, E, A>>
    : AssociativeWire<std::unordered_map<K, V, H, E, A>, H, E> {};
template <class K, class V, class H, class E, class A>
struct StandardWire<std::unordered_multimap<K, V, H, E, A>>
    : AssociativeWire<std::unordered_multimap<K, V, H, E, A>, H, E> {};
template <class K, class H, class E, class A>
struct StandardWire<std::unordered_set<K, H, E, A>>
    : AssociativeWire<std::unordered_set<K, H, E, A>, H, E> {};
template <class K, class H, class E, class A>
struct StandardWire<std::unordered_multiset<K, H, E, A>>
    : AssociativeWire<std::unordered_multiset<K, H, E, A>, H, E> {};

}  // namespace pinion::detail
