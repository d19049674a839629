// The sentences for what cannot travel.
#pragma once

#include <concepts>
#include <type_traits>

#include <pinion/detail/codec_judge.hpp>

namespace pinion::detail {

/// T can travel to another process and back.
template <class T>
concept Encodable = decltype(judge<std::remove_cv_t<T>>())::why == Refusal::none;

/// Says why `Part`, found in `Whole`, cannot travel. (The compiler names both beside the sentence.)
template <Refusal why, class Part, class Whole>
constexpr void explain_refusal() {
  using enum Refusal;
  static_assert(why != nothing, "pinion: there is no value of type void to send.");
  static_assert(why != reference,
                "pinion: a reference cannot travel: the worker is another process, so it would get "
                "a copy, and what it writes would be lost. Take the value or `const T&` and return "
                "what changed; hold members by value.");
  static_assert(why != character_pointer,
                "pinion: a pointer to characters cannot travel: the text it points at stays in "
                "this process. Use std::string.");
  static_assert(why != raw_pointer,
                "pinion: a raw pointer cannot travel: what it points at stays in this process. Use "
                "the value itself, std::vector, std::unique_ptr, or a pinion::SharedArray.");
  static_assert(why != member_pointer,
                "pinion: a pointer to member cannot travel. Wrap it in a captureless lambda that "
                "takes the object as a parameter.");
  static_assert(why != view,
                "pinion: a std::span or std::string_view cannot travel: what it looks at stays in "
                "this process. Use std::vector or std::string, or a pinion::SharedArray.");
  static_assert(why != array_view,
                "pinion: a pinion::ArrayView cannot travel as a value: it does not keep its array "
                "alive. Pass the pinion::SharedArray; a lambda may capture the view.");
  static_assert(why != reference_wrapper,
                "pinion: a std::reference_wrapper cannot travel: the worker would get a copy, and "
                "what it writes would be lost. Use the value, and return what changed.");
  static_assert(why != initializer_list,
                "pinion: a std::initializer_list cannot travel: it owns nothing. Use std::vector.");
  static_assert(why != array_pointer,
                "pinion: a pointer to an array cannot travel: it does not know how many items it "
                "has. Use std::vector.");
  static_assert(why != foreign_deleter,
                "pinion: a std::unique_ptr with a deleter of its own cannot travel: it owns "
                "something other than a plain object. Use std::unique_ptr<T>, or specialise "
                "pinion::codec for it.");
  static_assert(why != stateful_policy,
                "pinion: a container whose comparison, hash or equality holds state (a function "
                "pointer, for one) cannot travel: the worker could not make it anew. Use an empty "
                "function object type.");
  static_assert(why != erased_function,
                "pinion: a std::function cannot travel: it hides what it holds. Pass the function, "
                "the lambda or a function pointer itself.");
  static_assert(why != weak_pointer,
                "pinion: a std::weak_ptr cannot travel: the object stays in this process. Use "
                "std::shared_ptr, which travels by value.");
  static_assert(why != polymorphic,
                "pinion: a class with virtual functions cannot travel: its real type is known only "
                "at run time. Use std::variant, or specialise pinion::codec for it.");
  static_assert(why != union_with_state,
                "pinion: a union that is not trivially copyable cannot travel: nobody knows which "
                "member is alive. Use std::variant.");
  static_assert(why != base,
                "pinion: an aggregate with a base class cannot travel: its members cannot be "
                "listed. Make the base a member, or specialise pinion::codec for it.");
  static_assert(why != c_array,
                "pinion: an aggregate with a C array beside members that are not plain bytes "
                "cannot travel. Use std::array, or specialise pinion::codec for it.");
  static_assert(why != bit_field,
                "pinion: an aggregate with bit-fields beside members that are not plain bytes "
                "cannot travel. Use whole members, or specialise pinion::codec for it.");
  static_assert(why != too_many,
                "pinion: the members of this aggregate cannot be listed: there are more than 100, "
                "or one of them cannot be initialised by copying. Split it into smaller structs, "
                "or specialise pinion::codec for it.");
  static_assert(why != unknown_class,
                "pinion: this class cannot travel: it is neither trivially copyable, nor a plain "
                "aggregate, nor one of the standard types that pinion knows. Specialise "
                "pinion::codec for it.");
}

template <class Whole, Refusal why, class Part>
constexpr void explain_verdict(Verdict<why, Part>) {
  explain_refusal<why, Part, Whole>();
}

/// Fails to compile, with a sentence that says what to do instead, unless T can travel.
template <class T>
constexpr void require_travels() {
  explain_verdict<T>(judge<std::remove_cv_t<T>>());
}

}  // namespace pinion::detail
