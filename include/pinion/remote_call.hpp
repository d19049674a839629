// A call that is kept until a worker makes it.
#pragma once

#include <pinion/detail/call.hpp>

#include <memory>
#include <utility>

namespace pinion {

/// A function with its arguments, for options; made by `pinion::call`. Empty by default.
class RemoteCall {
 public:
  RemoteCall() = default;

  explicit operator bool() const noexcept { return static_cast<bool>(call_); }
  [[nodiscard]] const std::shared_ptr<const detail::CallSource>& source() const noexcept {
    return call_;
  }

 private:
  template <class F, class... Args>
  friend RemoteCall call(F f, Args&&... args);

  std::shared_ptr<const detail::CallSource> call_;
};

/// Keeps `f(args...)` for a worker: arguments are converted and copied now, as in `Pool::apply`.
/// What `f` returns is dropped. Throws `EncodingError` where a capture points into this stack.
template <class F, class... Args>
RemoteCall call(F f, Args&&... args) {
  RemoteCall kept;
  kept.call_ = std::make_shared<detail::OwnedCall<std::decay_t<F>, std::decay_t<Args>...>>(
      std::move(f), std::forward<Args>(args)...);
  return kept;
}

}  // namespace pinion
