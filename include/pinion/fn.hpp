// A function as a functor, so that its body is inlined into the loop that calls it.
#pragma once

#include <utility>

namespace pinion {

namespace detail {

template <class Type, Type function>
struct FnOf;

template <class R, class... P, R (*function)(P...)>
struct FnOf<R (*)(P...), function> {
  R operator()(P... args) const { return function(std::forward<P>(args)...); }
};

template <class R, class... P, R (*function)(P...) noexcept>
struct FnOf<R (*)(P...) noexcept, function> {
  R operator()(P... args) const noexcept { return function(std::forward<P>(args)...); }
};

}  // namespace detail

/// The type of `pinion::fn<function>`: an empty functor with the function's own signature.
template <auto function>
struct Fn : detail::FnOf<decltype(function), function> {};

/// `pool.map(pinion::fn<square>, xs)` calls `square` without the indirect call that
/// `pool.map(square, xs)` costs an item.
template <auto function>
inline constexpr Fn<function> fn{};

}  // namespace pinion
