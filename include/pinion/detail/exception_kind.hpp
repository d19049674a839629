// What pinion has to know of a type of exception to carry it from a worker to a caller.
#pragma once

#include <pinion/detail/api.hpp>
#include <pinion/detail/remote.hpp>
#include <pinion/errors.hpp>

#include <cxxabi.h>

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>

namespace pinion::detail {

/// One type of exception: how to take it apart in a worker and how to make it in the manager.
struct ExceptionKind {
  /// Its mangled name is the name on the way.
  const std::type_info* type;

  /// In the worker: whether a handler for the type matches `error`; if so, writes its bytes.
  /// May throw what the codec throws.
  bool (*capture)(const std::exception_ptr& error, std::string& bytes);

  /// In the manager: a new object, nested around `inner` unless that is null. Null when the codec
  /// or a constructor refused the bytes, which come from the worker and may be anything.
  std::exception_ptr (*restore)(std::string_view bytes,
                                const std::shared_ptr<const RemoteReport>& report,
                                const std::exception_ptr& inner);
};

/// Holds `inner` as `std::throw_with_nested` would.
PINION_API std::nested_exception nested_around(const std::exception_ptr& inner);

template <class T, class Codec>
bool capture_exception(const std::exception_ptr& error, std::string& bytes) {
  try {
    std::rethrow_exception(error);
  } catch (const T& caught) {
    bytes = Codec::encode(caught);
    return true;
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    return false;
  }
}

template <class T, class Codec>
std::exception_ptr restore_exception(std::string_view bytes,
                                     const std::shared_ptr<const RemoteReport>& report,
                                     const std::exception_ptr& inner) {
  try {
    if constexpr (!std::is_base_of_v<std::nested_exception, T>) {
      if (inner) {
        throw Remote<T, std::nested_exception>(Codec::decode(report->what, bytes), report,
                                               nested_around(inner));
      }
    }
    throw Remote<T>(Codec::decode(report->what, bytes), report);
  } catch (const RemoteError&) {  // the one just thrown
    return std::current_exception();
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    return nullptr;
  }
}

template <class T, class Codec>
inline constexpr ExceptionKind exception_kind{&typeid(T), &capture_exception<T, Codec>,
                                              &restore_exception<T, Codec>};

/// Makes a kind known for as long as this object lives: static, so that a library that is unloaded
/// takes its kinds with it. Thread safety: any thread; readers take no lock.
class PINION_API ExceptionRegistration {
 public:
  /// @param kind  null registers nothing
  explicit ExceptionRegistration(const ExceptionKind* kind) noexcept;
  ~ExceptionRegistration();
  ExceptionRegistration(const ExceptionRegistration&) = delete;
  ExceptionRegistration& operator=(const ExceptionRegistration&) = delete;

 private:
  void* entry_ = nullptr;
};

}  // namespace pinion::detail
