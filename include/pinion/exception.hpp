// PINION_EXCEPTION: lets a type of exception of your own come back from a worker as itself.
#pragma once

#include <pinion/detail/exception_kind.hpp>

#include <exception>
#include <string>
#include <string_view>
#include <type_traits>

namespace pinion {

/// How an exception of type `T` travels besides its text.
///
/// The primary template carries nothing more: `T` is made from the text, or by its default
/// constructor. Specialise it, before `PINION_EXCEPTION(T)`, to carry members:
///
///     template <>
///     struct pinion::ExceptionCodec<SolverError> {
///       static std::string encode(const SolverError& e) { return std::to_string(e.step()); }
///       static SolverError decode(const std::string& what, std::string_view bytes) {
///         return SolverError(what, std::stoi(std::string(bytes)));
///       }
///     };
///
/// `decode` gets bytes that a broken worker may have written: it checks them, and throws when they
/// make no sense; the error then comes back as its nearest standard base. The same is done when
/// `encode` throws or gives more than 16 KiB (4 KiB in a nested error).
template <class T>
struct ExceptionCodec {
  static std::string encode(const T&) { return {}; }
  static T decode(const std::string& what, std::string_view) {
    if constexpr (std::is_constructible_v<T, const std::string&>) {
      return T(what);
    } else if constexpr (std::is_constructible_v<T, const char*>) {
      return T(what.c_str());
    } else {
      static_assert(std::is_default_constructible_v<T>,
                    "PINION_EXCEPTION(T): T needs a constructor from std::string (its text), or a "
                    "specialisation of pinion::ExceptionCodec<T>");
      return T();
    }
  }
};

namespace detail {

template <class T>
constexpr const ExceptionKind* registered_exception() {
  static_assert(std::is_convertible_v<T*, std::exception*>,
                "PINION_EXCEPTION(T): T must derive, publicly and once, from std::exception");
  static_assert(
      !std::is_base_of_v<RemoteError, T>,
      "PINION_EXCEPTION(T): T derives from pinion::RemoteError, which is added on the way");
  static_assert(!std::is_abstract_v<T>,
                "PINION_EXCEPTION(T): T is abstract; register the types that are thrown");
  static_assert(std::is_copy_constructible_v<T>,
                "PINION_EXCEPTION(T): T must be copy constructible");
  if constexpr (std::is_final_v<T>) {
    return nullptr;  // no object can be both T and a RemoteError
  } else {
    return &exception_kind<T, ExceptionCodec<T>>;
  }
}

}  // namespace detail
}  // namespace pinion

#define PINION_DETAIL_JOIN2(a, b) a##b
#define PINION_DETAIL_JOIN(a, b) PINION_DETAIL_JOIN2(a, b)

/// Registers a type of exception, at namespace scope in a source file or in a header, in any number
/// of them: thrown by a task, it then comes back as itself and as `pinion::RemoteError`.
///
/// The type derives from `std::exception`, is copy constructible, and has a constructor from
/// `std::string` or an `ExceptionCodec`; neither it nor its `what()` is final. (A final type comes
/// back as its nearest base.) Its name must be its own in the program: where two registered types
/// of unnamed namespaces share one, both come back as their nearest standard base.
#define PINION_EXCEPTION(...)                                                               \
  [[maybe_unused]] static const ::pinion::detail::ExceptionRegistration PINION_DETAIL_JOIN( \
      pinion_exception_, __COUNTER__) {                                                     \
    ::pinion::detail::registered_exception<__VA_ARGS__>()                                   \
  }
