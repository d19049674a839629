// vector, deque and list: a count and the items; a vector of blocks is copied in one piece.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <list>
#include <vector>

#include <pinion/detail/codec_wire.hpp>

namespace pinion::detail {

/// How many items to make room for at once: what `count` items cost in memory, bounded by a few
/// times the bytes that claim to hold them. The rest grows as it is read.
template <class T>
std::size_t reserve_for(const Reader& reader, std::size_t count) noexcept {
  constexpr std::size_t memory_per_byte_max = 4;
  return std::min(count, reader.left() / sizeof(T) * memory_per_byte_max + 1);
}

/// The bytes of a count and of every item.
template <class Item, class Items>
std::size_t measure_items(const Items& items, unsigned depth) {
  std::size_t sum = sizeof(std::uint64_t);
  if constexpr (Item::fixed) {
    sum += items.size() * *Item::fixed;
  } else {
    const unsigned below = deeper(depth);
    for (const auto& item : items) sum += Item::measure(item, below);
  }
  return sum;
}

template <class Sequence>
struct SequenceWire {
  using T = typename Sequence::value_type;
  using Item = Wire<T>;
  using Inner = TypeList<T>;
  static constexpr FixedSize fixed = std::nullopt;
  static constexpr std::size_t least = sizeof(std::uint64_t);
  static constexpr bool one_piece = is_block<T> && requires(Sequence & s) { s.data(); };

  static std::size_t measure(const Sequence& v, unsigned depth) {
    return measure_items<Item>(v, depth);
  }
  static void write(Writer& writer, const Sequence& v) {
    writer.count(v.size());
    if constexpr (one_piece) {
      writer.bytes(v.data(), v.size() * sizeof(T));
    } else {
      for (const T& item : v) Item::write(writer, item);
    }
  }
  static Sequence read(Reader& reader) {
    const std::size_t count = reader.count(Item::least);
    if constexpr (one_piece) {
      return read_block(reader, count);
    } else {
      const Reader::Nesting level(reader);
      Sequence v;
      if constexpr (requires { v.reserve(count); }) v.reserve(reserve_for<T>(reader, count));
      for (std::size_t i = 0; i < count; ++i) v.push_back(Item::read(reader));
      return v;
    }
  }

 private:
  static Sequence read_block(Reader& reader, std::size_t count) {
    const std::byte* from = reader.take(count * sizeof(T));
    if (reinterpret_cast<std::uintptr_t>(from) % alignof(T) == 0) {
      const T* items = reinterpret_cast<const T*>(from);
      return Sequence(items, items + count);  // one pass; sized construction would clear first
    }
    Sequence v;
    v.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      std::array<std::byte, sizeof(T)> raw;
      std::memcpy(raw.data(), from + i * sizeof(T), sizeof(T));
      v.push_back(std::bit_cast<T>(raw));
    }
    return v;
  }
};

template <class T, class Allocator>
struct StandardWire<std::vector<T, Allocator>> : SequenceWire<std::vector<T, Allocator>> {};
template <class T, class Allocator>
struct StandardWire<std::deque<T, Allocator>> : SequenceWire<std::deque<T, Allocator>> {};
template <class T, class Allocator>
struct StandardWire<std::list<T, Allocator>> : SequenceWire<std::list<T, Allocator>> {};

/// Eight in a byte, the first in the lowest bit.
template <class Allocator>
struct StandardWire<std::vector<bool, Allocator>> {
  using Bits = std::vector<bool, Allocator>;
  using Inner = TypeList<>;
  static constexpr FixedSize fixed = std::nullopt;
  static constexpr std::size_t least = sizeof(std::uint64_t);

  static constexpr std::size_t bytes_of(std::size_t bits) noexcept {
    return bits / 8 + static_cast<std::size_t>(bits % 8 != 0);
  }
  static std::size_t measure(const Bits& v, unsigned) noexcept {
    return least + bytes_of(v.size());
  }
  static void write(Writer& writer, const Bits& v) {
    writer.count(v.size());
    for (std::size_t begin = 0; begin < v.size(); begin += 8) {
      unsigned byte = 0;
      const std::size_t end = std::min(begin + 8, v.size());
      for (std::size_t i = begin; i < end; ++i) byte |= unsigned{v[i]} << (i - begin);
      writer.value(static_cast<std::uint8_t>(byte));
    }
  }
  static Bits read(Reader& reader) {
    const auto count = reader.number<std::uint64_t>();
    const std::byte* bits = reader.take(bytes_of(count));
    Bits v(count);
    for (std::size_t i = 0; i < count; ++i) {
      v[i] = (std::to_integer<unsigned>(bits[i / 8]) >> (i % 8) & 1U) != 0;
    }
    return v;
  }
};

}  // namespace pinion::detail
