// A function that sees the exceptions of tasks, in the worker.
#pragma once

#include <pinion/detail/call.hpp>

#include <exception>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace pinion {

/// A function that each worker calls with the `std::exception_ptr` of a task, or item, that has
/// failed with an exception, before that travels back; for options. It is a function, a lambda or
/// a functor, as a pool's own; further arguments are copied now. What it throws is counted.
class RemoteHandler {
  template <class F, class Tuple>
  struct Thunk {
    static void run(detail::TaskFrame& task) {
      detail::Reader reader(task.arguments, task.arguments + task.argument_bytes, task.code);
      F f = detail::decode_callable<F>(reader);
      Tuple arguments = detail::decode<Tuple>(reader);
      std::apply([&](auto&... args) { f(std::current_exception(), args...); }, arguments);
    }
  };

  template <class F, class... Args>
  class Kept final : public detail::CallSource {
    using Tuple = std::tuple<Args...>;

   public:
    template <class... Given>
    explicit Kept(F f, Given&&... given)
        : f_(std::move(f)), arguments_(std::forward<Given>(given)...) {
      detail::check_closure(f_);
      thunk = &Thunk<F, Tuple>::run;
      bytes = detail::callable_size(f_) + detail::encoded_size(arguments_);
    }
    void write(detail::Writer& writer) const override {
      detail::encode_callable(writer, f_);
      detail::encode(writer, arguments_);
    }

   private:
    F f_;
    Tuple arguments_;
  };

 public:
  RemoteHandler() = default;
  /// Throws `EncodingError` where a capture points into this stack.
  template <class F, class... Args>
  requires std::is_invocable_v < std::decay_t<F>
  &, std::exception_ptr,
      std::decay_t<Args>&... > RemoteHandler(F&& f, Args&&... args)  // NOLINT: implicit by design
      : call_(std::make_shared<Kept<std::decay_t<F>, std::decay_t<Args>...>>(
            std::forward<F>(f), std::forward<Args>(args)...)) {}

  explicit operator bool() const noexcept { return static_cast<bool>(call_); }
  [[nodiscard]] const std::shared_ptr<const detail::CallSource>& source() const noexcept {
    return call_;
  }

 private:
  std::shared_ptr<const detail::CallSource> call_;
};

}  // namespace pinion
