// Where a map's items are until they are sent: in the caller's own array, or in one of ours.
#pragma once

#include <pinion/detail/callable.hpp>

#include <cstddef>
#include <deque>
#include <iterator>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace pinion::detail {

/// A tuple-like item as the arguments T of a call: each element is converted by itself.
template <class T, class Item>
constexpr T convert_spread(Item&& item) {
  return std::apply(
      [](auto&&... each) {
        return convert_arguments<T>(std::make_index_sequence<sizeof...(each)>{},
                                    std::forward<decltype(each)>(each)...);
      },
      std::forward<Item>(item));
}

/// Items that stay the caller's: it waits until the map has ended.
template <class T>
class BorrowedItems {
 public:
  static constexpr bool contiguous = true;
  BorrowedItems(const T* items, std::size_t count) : items_(items), count_(count) {}
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  const T& operator[](std::size_t i) const noexcept { return items_[i]; }

 private:
  const T* items_;
  std::size_t count_;
};

/// Items that were copied, moved or made from a range, each converted as a call would.
template <class T>
class OwnedItems {
  // std::vector<bool> has no array of items.
  using Store = std::conditional_t<std::is_same_v<T, bool>, std::deque<bool>, std::vector<T>>;

 public:
  static constexpr bool contiguous = !std::is_same_v<T, bool>;

  template <class Range>
  explicit OwnedItems(Range&& range) {
    fill(std::forward<Range>(range), [](auto&& item) -> decltype(auto) {
      return convert_argument<T>(std::forward<decltype(item)>(item));
    });
  }
  /// Of tuple-like items, each element is converted by itself.
  struct Spread {};
  template <class Range>
  OwnedItems(Spread, Range&& range) {
    fill(std::forward<Range>(range),
         [](auto&& item) -> T { return convert_spread<T>(std::forward<decltype(item)>(item)); });
  }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  const T& operator[](std::size_t i) const noexcept { return items_[i]; }

 private:
  template <class Range, class Convert>
  void fill(Range&& range, Convert convert) {
    if constexpr (std::ranges::sized_range<Range> && contiguous) {
      items_.reserve(static_cast<std::size_t>(std::ranges::size(range)));
    }
    for (auto&& item : range) {
      if constexpr (std::is_rvalue_reference_v<Range&&> &&
                    !std::ranges::view<std::decay_t<Range>> &&
                    std::is_lvalue_reference_v<decltype(item)> &&
                    !std::is_const_v<std::remove_reference_t<decltype(item)>>) {
        items_.push_back(convert(std::move(item)));  // the range is ours to empty
      } else {
        items_.push_back(convert(std::forward<decltype(item)>(item)));
      }
    }
  }

  Store items_;
};

/// A range whose items can be read in place while the caller waits.
template <class Range, class T>
concept ReadableInPlace = std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range> &&
    std::is_same_v<std::remove_cvref_t<std::ranges::range_reference_t<Range>>, T> &&
    std::is_lvalue_reference_v<std::ranges::range_reference_t<Range>>;

}  // namespace pinion::detail
