// The members of Pool that loop over shared arrays and indices, and map_reduce.
#pragma once

#include <pinion/detail/index_call.hpp>
#include <pinion/detail/reduce_call.hpp>
#include <pinion/pool.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace pinion {

template <class Call>
void Pool::run_loop(Call call, std::size_t n, Chunking chunking) {
  detail::check_closure(call.f);
  auto job = std::make_unique<detail::IndexJob<Call>>(std::move(call), n);
  job->chunking = chunking;
  AsyncResult<void>(detail::submit_map(*core_, std::move(job), nullptr)).get();
}

template <class F, class T, class U>
void Pool::map_into(F&& f, SharedArray<T> in, SharedArray<U> out, Chunking chunking) {
  using Callable = std::decay_t<F>;
  detail::require_loop_callable<F, const T&>();
  static_assert(std::is_convertible_v<detail::result_of<Callable, const T&>, U>,
                "pinion: what the function returns does not convert to the elements of `out`.");
  if (in.size() != out.size()) {
    throw std::invalid_argument("map_into: the arrays have " + std::to_string(in.size()) + " and " +
                                std::to_string(out.size()) + " elements");
  }
  const std::size_t n = in.size();
  run_loop(detail::EachElement<Callable, T, U>{std::forward<F>(f), std::move(in), std::move(out)},
           n, chunking);
}

template <class F>
void Pool::for_each_index(std::size_t n, F&& f, Chunking chunking) {
  detail::require_loop_callable<F, std::size_t>();
  run_loop(detail::EachIndex<std::decay_t<F>>{std::forward<F>(f)}, n, chunking);
}

template <class Fold, class Blocks, class Op, class T>
T Pool::reduce(Fold fold, Blocks blocks, Op& op, T init, const Chunking& chunking) {
  // A fixed size is a block's; how many blocks travel together is nobody's business.
  const Chunking of_blocks = chunking.items() != 0 ? Chunking() : chunking;
  auto parts = start_map(nullptr, std::move(fold), std::move(blocks), of_blocks).get();
  for (auto&& part : parts) {
    init = static_cast<T>(std::invoke(op, std::move(init), static_cast<T>(std::move(part))));
  }
  return init;
}

template <class Item, class With, class Items, class Op, class T>
T Pool::reduce_items(With with, Items items, Op& op, T init, const Chunking& chunking) {
  using Callable = decltype(with.f);
  return reduce(detail::ItemFold<Callable, Op, T, Item, Items>{std::move(with)},
                detail::BlockItems<Item, Items>(std::move(items), chunking), op, std::move(init),
                chunking);
}

template <class F, class Range, class Op, class T>
T Pool::map_reduce(F&& f, Range&& range, Op op, T init, Chunking chunking) {
  using Input = std::remove_cvref_t<Range>;
  using Callable = std::decay_t<F>;
  using Value = std::ranges::range_value_t<Input>;
  detail::require_reduction<F, Op, T, Value>();
  const detail::FoldWith<Callable, Op> with{f, op};
  detail::check_closure(with.f);
  detail::check_closure(with.op);
  if constexpr (detail::is_shared_array<Input>) {
    return reduce(detail::IndexFold<Callable, Op, T, Input>{with, range},
                  detail::IndexBlocks(range.size(), chunking), op, std::move(init), chunking);
  } else if constexpr (detail::is_integer_sequence<Input>) {
    const auto n = static_cast<std::size_t>(std::ranges::size(range));
    const Value first = n == 0 ? Value() : *range.begin();
    return reduce(detail::IndexFold<Callable, Op, T, Value>{with, first},
                  detail::IndexBlocks(n, chunking), op, std::move(init), chunking);
  } else {
    using Item = ItemOf<F, Input>;
    if constexpr (detail::ReadableInPlace<Range, Item>) {
      const detail::BorrowedItems<Item> items(std::ranges::data(range),
                                              static_cast<std::size_t>(std::ranges::size(range)));
      return reduce_items<Item>(with, items, op, std::move(init), chunking);
    } else {
      return reduce_items<Item>(with, detail::OwnedItems<Item>(std::forward<Range>(range)), op,
                                std::move(init), chunking);
    }
  }
}

}  // namespace pinion
