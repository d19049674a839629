// The one signature of a callable, where it has one.
#pragma once

#include <functional>
#include <tuple>
#include <type_traits>

#include <pinion/detail/type_list.hpp>

namespace pinion::detail {

/// What a callable returns and takes, as declared.
template <class R, class... P>
struct Signature {
  using Result = R;
  using Declared = TypeList<P...>;
  using Decayed = std::tuple<std::decay_t<P>...>;
};

/// The signature of a function type or of a member `operator()`. C variadic ones have none.
template <class T>
struct SignatureOf {};
template <class R, class... P>
struct SignatureOf<R(P...)> : Signature<R, P...> {};
template <class R, class... P>
struct SignatureOf<R(P...) noexcept> : Signature<R, P...> {};

template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...)> : Signature<R, P...> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) const> : Signature<R, P...> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...)&> : Signature<R, P...> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) const&> : Signature<R, P...> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) noexcept> : Signature<R, P...> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) const noexcept> : Signature<R, P...> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...)& noexcept> : Signature<R, P...> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) const& noexcept> : Signature<R, P...> {};

template <class F>
consteval auto find_signature() {
  using Plain = std::remove_pointer_t<std::remove_cvref_t<F>>;
  if constexpr (std::is_function_v<Plain>) {
    return SignatureOf<Plain>{};
  } else if constexpr (requires { &Plain::operator(); }) {
    return SignatureOf<decltype(&Plain::operator())>{};
  } else {
    return SignatureOf<void>{};
  }
}

/// For functions, function pointers, lambdas and functors, with or without references on F.
template <class F>
using SignatureFor = decltype(find_signature<F>());

/// F takes one list of parameters: it is neither generic nor overloaded.
template <class F>
concept HasOneSignature = requires {
  typename SignatureFor<F>::Declared;
};

template <class F>
inline constexpr bool has_one_signature = HasOneSignature<F>;

/// The decayed parameters of F as a `std::tuple`.
template <HasOneSignature F>
using parameters_of = typename SignatureFor<F>::Decayed;

}  // namespace pinion::detail
