// The one place that says what a call must be like to run in another process.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include <pinion/detail/callable.hpp>
#include <pinion/detail/closure.hpp>

namespace pinion::detail {

/// A parameter whose writes would be lost.
template <class P>
inline constexpr bool is_writable_reference =
    std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>;

template <class... P>
consteval bool any_writable_reference(TypeList<P...>) {
  return (is_writable_reference<P> || ...);
}

template <class... Args, class... T>
consteval bool all_convertible(std::type_identity<std::tuple<T...>>) {
  return (std::is_convertible_v<Args, T> && ...);
}

template <class... T>
constexpr void require_all_travel(std::type_identity<std::tuple<T...>>) {
  (require_travels<T>(), ...);
}

/// The result and, for a task, what it ends with.
template <class R>
constexpr void require_result() {
  static_assert(!is_writable_reference<R>,
                "pinion: a callable that returns T& cannot run in a worker: the caller would get a "
                "reference to a copy. Return the value.");
  using Value = value_of_result<R>;
  if constexpr (!std::is_void_v<Value> && !is_writable_reference<R>) require_travels<Value>();
}

template <class F, class... Args>
constexpr void require_declared_call() {
  using Declared = typename SignatureFor<F>::Declared;
  constexpr bool writes = any_writable_reference(Declared{});
  constexpr bool complete = sizeof...(Args) == Declared::size;
  static_assert(!writes,
                "pinion: a parameter of type T& cannot be passed to a worker: it is another "
                "process, so what the callable writes there would be lost. Take `const T&` or the "
                "value, and return what changed.");
  static_assert(complete,
                "pinion: the callable takes another number of arguments than were given. Default "
                "arguments are not known to a function's type: give them all, or wrap the call in "
                "a lambda.");
  if constexpr (!writes) {
    require_all_travel(std::type_identity<parameters_of<F>>{});
    if constexpr (complete) {
      static_assert(all_convertible<Args...>(std::type_identity<parameters_of<F>>{}),
                    "pinion: an argument does not convert to the callable's parameter.");
    }
    require_result<typename SignatureFor<F>::Result>();
  }
}

template <class F, class... Args>
constexpr void require_generic_call() {
  require_all_travel(std::type_identity<std::tuple<std::decay_t<Args>...>>{});
  if constexpr ((Encodable<std::decay_t<Args>> && ...)) {
    constexpr bool callable = std::is_invocable_v<F&, std::decay_t<Args>...>;
    static_assert(callable,
                  "pinion: the callable cannot be called with copies of these arguments. (They are "
                  "passed as rvalues: `auto&` and T& do not bind to them, since what is written "
                  "there would be lost. Take `const auto&`, `auto&&` or the value.)");
    if constexpr (callable) require_result<result_of<F, Args...>>();
  }
}

/// Fails to compile, with a sentence that says what to do instead, unless `f(args...)` can run in
/// another process. Args are the types at the call site, references included.
template <class F, class... Args>
constexpr void require_callable() {
  using Callable = std::decay_t<F>;
  static_assert(
      !std::is_member_pointer_v<Callable>,
      "pinion: a pointer to member cannot be called in a worker. Wrap it in a captureless "
      "lambda that takes the object as a parameter.");
  if constexpr (!std::is_member_pointer_v<Callable>) {
    require_closure<Callable>();
    if constexpr (HasOneSignature<Callable>) {
      require_declared_call<Callable, Args...>();
    } else {
      require_generic_call<Callable, Args...>();
    }
  }
}

template <class T>
inline constexpr bool is_tuple_like = requires {
  std::tuple_size<T>::value;
};

template <class Item>
constexpr void require_tuples() {
  static_assert(is_tuple_like<Item>,
                "pinion: this takes a range of tuples, pairs or std::arrays, each with the "
                "arguments of one call. For calls with one argument, use map or imap.");
}

/// The same for a call whose arguments are the elements of an Item.
template <class F, class Item>
constexpr void require_spread_callable() {
  []<std::size_t... I>(std::index_sequence<I...>) {
    require_callable<F, std::tuple_element_t<I, Item>...>();
  }
  (std::make_index_sequence<std::tuple_size_v<Item>>{});
}

}  // namespace pinion::detail
