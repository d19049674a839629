// A range that a stream reads, and how its items are encoded.
#pragma once

#include <pinion/detail/map_call.hpp>
#include <pinion/detail/map_items.hpp>
#include <pinion/detail/stream_core.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <ranges>
#include <utility>

namespace pinion::detail {

/// The encoded bytes of a value.
template <class Value>
PackedBytes packed(const Value& value, CodeMap* code, ArrayHandles& arrays) {
  PackedBytes bytes(encoded_size(value), '\0');
  auto* const begin = reinterpret_cast<std::byte*>(bytes.data());
  Writer writer(begin, begin + bytes.size(), code, &arrays);
  encode(writer, value);
  return bytes;
}

/// Owns the range, or a view of it. An item is read when it is asked for, and not before.
template <class T, class Range, Spread spread>
class RangeInput final : public StreamInput {
 public:
  template <class Given>
  RangeInput(Given&& range, CodeMap* code) : range_(std::forward<Given>(range)), code_(code) {}

  bool next(StreamArgument& argument) override {
    if (!at_) {
      at_.emplace(std::ranges::begin(range_));
    } else {
      ++*at_;
    }
    if (*at_ == std::ranges::end(range_)) return false;
    const T item = converted(**at_);
    try {
      argument.bytes = packed<T>(item, code_, argument.arrays);
    } catch (...) {
      argument.error = std::current_exception();
    }
    return true;
  }

 private:
  template <class Item>
  static T converted(Item&& item) {
    if constexpr (spread == Spread::yes) {
      return convert_spread<T>(std::forward<Item>(item));
    } else {
      return convert_argument<T>(std::forward<Item>(item));
    }
  }

  Range range_;
  std::optional<std::ranges::iterator_t<Range>> at_;
  CodeMap* code_;
};

template <class F, class T, Spread spread>
StreamCall stream_call(const F& f, CodeMap* code) {
  using Thunks = MapThunk<F, T, spread>;
  StreamCall call{reinterpret_cast<const void*>(&Thunks::run),
                  Thunks::coroutine,
                  !fixed_size<T>,
                  Thunks::stride,
                  PackedBytes(items_at(callable_size(f)), '\0'),
                  {}};
  auto* const begin = reinterpret_cast<std::byte*>(call.callable.data());
  Writer writer(begin, begin + callable_size(f), code, &call.arrays);
  encode_callable(writer, f);
  return call;
}

}  // namespace pinion::detail
