// map_reduce: blocks of a range, whose cut no timing changes, each folded by a worker.
//
// The scheduler sees a map whose items are the blocks. How many blocks a worker gets at a time it
// decides as it likes; where a block begins and ends depends on the range's length alone.
#pragma once

#include <pinion/chunking.hpp>
#include <pinion/detail/map_call.hpp>
#include <pinion/detail/map_items.hpp>
#include <pinion/shared_array.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace pinion::detail {

/// Automatic blocks: so many that a large machine has enough to share out, and so few that
/// combining them costs nothing.
inline constexpr std::size_t reduce_blocks_max = 4096;

/// Items of a block, but for the last. `items` is not 0.
inline std::size_t reduce_block_items(std::size_t items, const Chunking& chunking) noexcept {
  if (chunking.items() != 0) return std::min(chunking.items(), items);
  return (items - 1) / reduce_blocks_max + 1;
}

/// f and op, as they travel.
template <class F, class Op>
struct FoldWith {
  F f;
  Op op;

  /// `next` gives the items, in order; there is at least one.
  template <class R, class Next>
  R fold(std::size_t count, Next&& next) {
    R sum = static_cast<R>(std::invoke(f, next()));
    for (std::size_t i = 1; i < count; ++i) {
      sum = static_cast<R>(std::invoke(op, std::move(sum), static_cast<R>(std::invoke(f, next()))));
    }
    return sum;
  }
};

template <class F, class Op>
struct StandardWire<FoldWith<F, Op>> {
  using Inner = TypeList<>;
  static constexpr FixedSize fixed =
      fixed_callable_size<F> && fixed_callable_size<Op>
          ? FixedSize(*fixed_callable_size<F> + *fixed_callable_size<Op>)
          : std::nullopt;
  static constexpr std::size_t least = 0;
  static std::size_t measure(const FoldWith<F, Op>& v, unsigned) {
    return callable_size(v.f) + callable_size(v.op);
  }
  static void write(Writer& writer, const FoldWith<F, Op>& v) {
    encode_callable(writer, v.f);
    encode_callable(writer, v.op);
  }
  static FoldWith<F, Op> read(Reader& reader) {
    F f = decode_callable<F>(reader);
    return {std::move(f), decode_callable<Op>(reader)};
  }
};

/// Items [first, first + count) of a range that both sides can index.
struct IndexBlock {
  std::uint64_t first;
  std::uint64_t count;
};

/// Folds blocks of a shared array, or of consecutive integers (T is one; `in` is the first).
template <class F, class Op, class R, class In>
struct IndexFold {
  FoldWith<F, Op> with;
  In in;

  R operator()(IndexBlock block) {
    std::uint64_t i = block.first;
    return with.template fold<R>(block.count, [&] { return element(i++); });
  }

 private:
  [[nodiscard]] auto element(std::uint64_t i) const {
    if constexpr (std::is_integral_v<In>) {
      return static_cast<In>(in + static_cast<In>(i));
    } else {
      return in[i];
    }
  }
};

/// Items of a range that travel.
template <class T, class Items>
struct ItemBlock {
  using Store = std::conditional_t<std::is_same_v<T, bool>, std::deque<bool>, std::vector<T>>;

  // In the manager:
  const Items* from = nullptr;
  std::size_t first = 0;
  std::size_t count = 0;
  // In the worker:
  Store items;
};

template <class T, class Items>
struct StandardWire<ItemBlock<T, Items>> {
  using Block = ItemBlock<T, Items>;
  using Inner = TypeList<T>;
  static constexpr FixedSize fixed = std::nullopt;
  static constexpr std::size_t least = sizeof(std::uint64_t);
  static constexpr bool is_copied = is_block<T> && Items::contiguous;

  static std::size_t measure(const Block& v, unsigned depth) {
    if constexpr (Wire<T>::fixed) {
      return least + v.count * *Wire<T>::fixed;
    } else {
      std::size_t bytes = least;
      for (std::size_t i = 0; i < v.count; ++i) {
        bytes += Wire<T>::measure((*v.from)[v.first + i], depth);
      }
      return bytes;
    }
  }
  static void write(Writer& writer, const Block& v) {
    writer.count(v.count);
    if constexpr (is_copied) {
      writer.bytes(&(*v.from)[v.first], v.count * sizeof(T));
    } else {
      for (std::size_t i = 0; i < v.count; ++i) {
        Wire<T>::write(writer, (*v.from)[v.first + i]);
      }
    }
  }
  static Block read(Reader& reader) {
    return {nullptr, 0, 0, Wire<typename Block::Store>::read(reader)};
  }
};

template <class F, class Op, class R, class T, class Items>
struct ItemFold {
  FoldWith<F, Op> with;

  R operator()(ItemBlock<T, Items> block) {
    auto next = block.items.begin();
    return with.template fold<R>(block.items.size(), [&]() -> T { return std::move(*next++); });
  }
};

/// They travel as their parts, one after the other.
template <class F, class Op, class R, class In>
struct StandardWire<IndexFold<F, Op, R, In>> {
  using Fold = IndexFold<F, Op, R, In>;
  using Inner = TypeList<FoldWith<F, Op>, In>;
  static constexpr FixedSize fixed = std::nullopt;
  static constexpr std::size_t least = Wire<In>::least;
  static std::size_t measure(const Fold& v, unsigned depth) {
    return Wire<FoldWith<F, Op>>::measure(v.with, depth) + Wire<In>::measure(v.in, depth);
  }
  static void write(Writer& writer, const Fold& v) {
    Wire<FoldWith<F, Op>>::write(writer, v.with);
    Wire<In>::write(writer, v.in);
  }
  static Fold read(Reader& reader) {
    auto with = Wire<FoldWith<F, Op>>::read(reader);
    return {std::move(with), Wire<In>::read(reader)};
  }
};
template <class F, class Op, class R, class T, class Items>
struct StandardWire<ItemFold<F, Op, R, T, Items>> {
  using Fold = ItemFold<F, Op, R, T, Items>;
  using With = Wire<FoldWith<F, Op>>;
  using Inner = TypeList<FoldWith<F, Op>>;
  static constexpr FixedSize fixed = With::fixed;
  static constexpr std::size_t least = With::least;
  static std::size_t measure(const Fold& v, unsigned depth) { return With::measure(v.with, depth); }
  static void write(Writer& writer, const Fold& v) { With::write(writer, v.with); }
  static Fold read(Reader& reader) { return {With::read(reader)}; }
};

/// The blocks of a range's items, as items of a map.
template <class T, class Items>
class BlockItems {
 public:
  static constexpr bool contiguous = false;
  BlockItems(Items items, const Chunking& chunking)
      : items_(std::make_unique<Items>(std::move(items))),
        block_(items_->size() == 0 ? 1 : reduce_block_items(items_->size(), chunking)) {}

  [[nodiscard]] std::size_t size() const noexcept { return (items_->size() + block_ - 1) / block_; }
  ItemBlock<T, Items> operator[](std::size_t i) const {
    return {items_.get(), i * block_, std::min(block_, items_->size() - i * block_), {}};
  }

 private:
  std::unique_ptr<Items> items_;  // blocks refer to it
  std::size_t block_;
};

/// The blocks of `items` indices.
class IndexBlocks {
 public:
  static constexpr bool contiguous = false;
  IndexBlocks(std::size_t items, const Chunking& chunking)
      : items_(items), block_(items == 0 ? 1 : reduce_block_items(items, chunking)) {}

  [[nodiscard]] std::size_t size() const noexcept { return (items_ + block_ - 1) / block_; }
  IndexBlock operator[](std::size_t i) const noexcept {
    return {i * block_, std::min(block_, items_ - i * block_)};
  }

 private:
  std::size_t items_;
  std::size_t block_;
};

/// A range of consecutive integers: it travels as its first.
template <class Range>
inline constexpr bool is_integer_sequence = false;
template <std::integral I>
inline constexpr bool is_integer_sequence<std::ranges::iota_view<I, I>> = true;

template <class Range>
inline constexpr bool is_shared_array = false;
template <class T>
inline constexpr bool is_shared_array<SharedArray<T>> = true;

/// What is folded: each value of f as an R, and `op(R, R)` as an R.
template <class F, class Op, class R, class Item>
constexpr void require_reduction() {
  require_callable<F, Item>();
  require_travels<R>();
  require_closure<std::decay_t<Op>>();
  static_assert(!is_task<std::remove_cvref_t<result_of<std::decay_t<F>, Item>>>,
                "pinion: map_reduce runs plain functions. For coroutines use map and fold what it "
                "gives.");
  static_assert(
      std::is_invocable_v<std::decay_t<Op>&, R, R>,
      "pinion: map_reduce calls op(T, T), where T is the type of `init`: a partial result "
      "and the next value, and at the end two partial results.");
}

}  // namespace pinion::detail
