// What a callable takes and returns when it runs in another process: the types that are sent, and
// how the decoded values are passed.
#pragma once

#include <cstddef>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <pinion/detail/codec_entry.hpp>
#include <pinion/detail/signature.hpp>

namespace pinion {

template <class T>
class Task;

namespace detail {

template <class F, class... Args>
consteval auto choose_arguments() {
  if constexpr (HasOneSignature<F>) {
    return std::type_identity<parameters_of<F>>{};
  } else {
    return std::type_identity<std::tuple<std::decay_t<Args>...>>{};
  }
}

/// The tuple that is encoded: the decayed parameters of a callable with one signature, else the
/// decayed arguments.
template <class F, class... Args>
using ArgumentTuple = typename decltype(choose_arguments<F, Args...>())::type;

template <class F, class... Args>
consteval auto choose_result() {
  if constexpr (HasOneSignature<F>) {
    return std::type_identity<typename SignatureFor<F>::Result>{};
  } else {
    return std::invoke_result<std::decay_t<F>&, std::decay_t<Args>...>{};
  }
}

/// What F returns, as declared; a generic callable is asked with decayed arguments, as rvalues.
template <class F, class... Args>
using result_of = typename decltype(choose_result<F, Args...>())::type;

template <class R>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<Task<T>> = true;

template <class R>
struct ValueOfResult {
  using Type = std::decay_t<R>;
};
template <class T>
struct ValueOfResult<Task<T>> : ValueOfResult<T> {};

/// The type that comes back: a `Task<R>` unwrapped, a `const T&` as a copy; may be void.
template <class R>
using value_of_result = typename ValueOfResult<std::remove_cv_t<R>>::Type;

/// The type of the one argument that `map` sends to F for each item of a range.
template <class F, class RangeValue>
using MapArgument = std::tuple_element_t<0, ArgumentTuple<F, RangeValue>>;

/// What each F call of a `starmap` takes, for items that are tuples, pairs or arrays.
template <class F, class Item, class = std::make_index_sequence<std::tuple_size_v<Item>>>
struct StarArgumentsOf;
template <class F, class Item, std::size_t... I>
struct StarArgumentsOf<F, Item, std::index_sequence<I...>> {
  using Type = ArgumentTuple<F, std::tuple_element_t<I, Item>...>;
};
template <class F, class Item>
using StarArguments = typename StarArgumentsOf<F, std::remove_cvref_t<Item>>::Type;

/// One argument as the type that is sent. The same type passes through without a move.
template <class To, class Arg>
constexpr decltype(auto) convert_argument(Arg&& arg) {
  if constexpr (std::is_same_v<std::remove_cvref_t<Arg>, To>) {
    return std::forward<Arg>(arg);
  } else {
    return static_cast<To>(std::forward<Arg>(arg));
  }
}

template <class Tuple, class... Args, std::size_t... I>
constexpr Tuple convert_arguments(std::index_sequence<I...>, Args&&... args) {
  return Tuple(convert_argument<std::tuple_element_t<I, Tuple>>(std::forward<Args>(args))...);
}

/// Converts each argument, at the call site and as a call of F would, to what is sent.
template <class F, class... Args>
constexpr ArgumentTuple<F, Args...> make_arguments(Args&&... args) {
  return convert_arguments<ArgumentTuple<F, Args...>>(std::index_sequence_for<Args...>{},
                                                      std::forward<Args>(args)...);
}

/// As above for a call that is sent before these are gone: what needs no conversion is the caller's
/// own, so that no large value is copied before it is encoded.
template <class T, class Arg>
using BorrowedArgument =
    std::conditional_t<std::is_same_v<std::remove_cvref_t<Arg>, T>, const T&, T>;
template <class Tuple, class... Args>
struct BorrowedArguments;
template <class... T, class... Args>
struct BorrowedArguments<std::tuple<T...>, Args...> {
  using Type = std::tuple<BorrowedArgument<T, Args>...>;
};
template <class F, class... Args>
constexpr auto borrow_arguments(Args&&... args) {
  using Tuple = ArgumentTuple<F, Args...>;
  using Borrowed = typename BorrowedArguments<Tuple, Args...>::Type;
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return Borrowed(convert_argument<std::tuple_element_t<I, Tuple>>(std::forward<Args>(args))...);
  }
  (std::index_sequence_for<Args...>{});
}

/// An owned value for a parameter declared as P: a const lvalue for `const T&`, else an rvalue.
template <class P, class T>
constexpr decltype(auto) pass_as(T& owned) noexcept {
  if constexpr (std::is_lvalue_reference_v<P>) {
    return std::as_const(owned);
  } else {
    return std::move(owned);
  }
}

template <class... P, class F, class... T>
constexpr decltype(auto) invoke_declared(TypeList<P...>, F& f, std::tuple<T...>& owned) {
  return std::apply(
      [&f](T&... value) -> decltype(auto) { return std::invoke(f, pass_as<P>(value)...); }, owned);
}

/// Calls f with decoded values, which stay the caller's until f, coroutine included, has ended. By
/// value and `T&&` parameters take them (by move), `const T&` binds to them; a generic callable
/// gets rvalues.
template <class F, class... T>
constexpr decltype(auto) invoke_with(F& f, std::tuple<T...>& owned) {
  if constexpr (HasOneSignature<F>) {
    return invoke_declared(typename SignatureFor<F>::Declared{}, f, owned);
  } else {
    return invoke_declared(TypeList<T...>{}, f, owned);
  }
}

}  // namespace detail
}  // namespace pinion
