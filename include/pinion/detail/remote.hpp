// The object that is thrown to a caller for an exception that a task threw in its worker.
#pragma once

#include <pinion/detail/api.hpp>
#include <pinion/errors.hpp>

#include <memory>
#include <utility>

namespace pinion::detail {

/// The task's own type and `RemoteError` in one object. `Chain` is empty or
/// `std::nested_exception`.
template <class Base, class... Chain>
class PINION_API Remote final : public Base, public RemoteError, public Chain... {
 public:
  Remote(Base base, std::shared_ptr<const RemoteReport> report, const Chain&... chain)
      : Base(std::move(base)), RemoteError(std::move(report)), Chain(chain)... {}

  /// The text that the task's exception had, also where `Base` cannot be given a text.
  [[nodiscard]] const char* what() const noexcept override {
    return RemoteError::report().what.c_str();
  }
};

}  // namespace pinion::detail
