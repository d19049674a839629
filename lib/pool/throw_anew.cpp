#include "lib/pool/throw_anew.hpp"

#include <pinion/errors.hpp>

namespace pinion::pool {

namespace {

template <class... Errors>
struct Copier;

template <class Error, class... More>
struct Copier<Error, More...> {
  [[noreturn]] static void copy(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const Error& e) {
      throw Error(e);
    } catch (...) {
    }
    Copier<More...>::copy(error);
  }
};

template <>
struct Copier<> {
  [[noreturn]] static void copy(const std::exception_ptr& error) {
    std::rethrow_exception(error);  // of a kind that is not made here: at least it is thrown
  }
};

}  // namespace

void throw_anew(const std::exception_ptr& error) {
  std::exception_ptr original;
  try {
    std::rethrow_exception(error);
  } catch (const OriginalError& e) {
    original = e.error;
  } catch (...) {
  }
  if (original != nullptr) std::rethrow_exception(original);
  Copier<WorkerLost, TaskTimeout, Cancelled, PoolTerminated, EncodingError, ResourceError>::copy(
      error);
}

}  // namespace pinion::pool
