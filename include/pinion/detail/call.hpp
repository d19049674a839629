// A single call: its arguments as bytes, and the code that a worker runs for it.
#pragma once

#include <pinion/detail/callable_check.hpp>
#include <pinion/detail/detached.hpp>
#include <pinion/detail/task_frame.hpp>

#include <cstddef>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace pinion::detail {

/// A call whose bytes are written when it is known where to.
class CallSource {
 public:
  virtual ~CallSource() = default;
  /// Writes exactly `bytes`.
  virtual void write(Writer& writer) const = 0;

  Thunk thunk = nullptr;  // of calls that are kept
  std::size_t bytes = 0;

 protected:
  CallSource() = default;
  CallSource(const CallSource&) = default;
  CallSource& operator=(const CallSource&) = default;
};

/// Encodes `value` as the outcome of a single item.
template <class R>
void put_result(TaskFrame& task, const R& value) {
  const std::size_t size = encoded_size(value);
  std::byte* const at = task.result(size);
  Writer writer(at, at + size, task.code);
  encode(writer, value);
}

template <class F, class Tuple>
struct CallThunk {
  using Result = decltype(invoke_with(std::declval<F&>(), std::declval<Tuple&>()));
  using Value = value_of_result<Result>;
  static constexpr bool coroutine = is_task<std::remove_cvref_t<Result>>;

  static void run(TaskFrame& task) {
    Reader reader(task.arguments, task.arguments + task.argument_bytes, task.code);
    F f = decode_callable<F>(reader);
    Tuple arguments = decode<Tuple>(reader);
    if constexpr (coroutine) {
      task.coroutine = drive(std::move(f), std::move(arguments), *task.sink, task.code)
                           .release(task.sink->on_end, task.sink);
    } else if constexpr (std::is_void_v<Value>) {
      invoke_with(f, arguments);
    } else {
      put_result<Value>(task, invoke_with(f, arguments));
    }
  }

  /// As `run`, for a call whose result nobody wants.
  static void run_and_drop(TaskFrame& task) {
    static_assert(!coroutine,
                  "pinion: an initializer runs to its end before the worker's loop begins: it "
                  "cannot be a coroutine.");
    Reader reader(task.arguments, task.arguments + task.argument_bytes, task.code);
    F f = decode_callable<F>(reader);
    Tuple arguments = decode<Tuple>(reader);
    static_cast<void>(invoke_with(f, arguments));
  }

  /// The outermost coroutine of an item: owns callable and arguments until the task has ended.
  static Detached drive(F f, Tuple arguments, CoroutineItem& item, CodeMap* code) {
    try {
      if constexpr (std::is_void_v<Value>) {
        co_await invoke_with(f, arguments);
      } else {
        const Value value = co_await invoke_with(f, arguments);
        const std::size_t size = encoded_size(value);
        std::byte* const at = item.block(size);
        Writer writer(at, at + size, code);
        encode(writer, value);
      }
      item.succeeded();
    } catch (...) {
      item.failed(std::current_exception());
    }
  }
};

/// The encoded size of every call of this kind, where no value changes it.
template <class F, class Tuple>
inline constexpr FixedSize fixed_call_size = fixed_callable_size<F>&& fixed_size<Tuple>
                                                 ? FixedSize(*fixed_callable_size<F> +
                                                             *fixed_size<Tuple>)
                                                 : std::nullopt;

/// Whether its bytes travel in the slot.
template <class F, class Tuple>
inline constexpr bool travels_inline = fixed_call_size<F, Tuple>.value_or(inline_bytes_max +
                                                                          1) <= inline_bytes_max;

template <class... T>
consteval bool any_names_array(TypeList<T...>);

/// Whether a value may name shared arrays. Of types without a codec of the user's.
template <class T>
consteval bool may_name_array() {
  if constexpr (requires { Wire<T>::names_array; }) {
    return true;
  } else {
    return any_names_array(typename Wire<T>::Inner{});
  }
}
template <class... T>
consteval bool any_names_array(TypeList<T...>) {
  return (may_name_array<std::remove_cv_t<T>>() || ...);
}

/// The same for a call that travels inline.
template <class F, class Tuple>
consteval bool call_may_name_array() {
  if constexpr (closure_kind<F> == Closure::encoded) {
    return may_name_array<F>() || may_name_array<Tuple>();
  } else {
    return may_name_array<Tuple>();
  }
}

/// A call whose callable and arguments are somebody else's, for as long as the submit takes.
/// Its arguments are written one after the other, as a tuple is.
template <class F, class Arguments>
class BorrowedCall final : public CallSource {
 public:
  BorrowedCall(const F& f, const Arguments& arguments) : f_(f), arguments_(arguments) {
    bytes = callable_size(f);
    std::apply([this](const auto&... one) { (..., (bytes += encoded_size(one))); }, arguments);
  }
  void write(Writer& writer) const override {
    encode_callable(writer, f_);
    std::apply([&writer](const auto&... one) { (..., encode(writer, one)); }, arguments_);
  }

 private:
  const F& f_;
  const Arguments& arguments_;
};

/// A call that is kept, for options.
template <class F, class... Args>
class OwnedCall final : public CallSource {
  using Tuple = ArgumentTuple<F, Args...>;

 public:
  template <class... Given>
  explicit OwnedCall(F f, Given&&... given)
      : f_(std::move(f)), arguments_(make_arguments<F>(std::forward<Given>(given)...)) {
    require_callable<F, Given...>();
    check_closure(f_);
    thunk = &CallThunk<F, Tuple>::run_and_drop;
    bytes = callable_size(f_) + encoded_size(arguments_);
  }
  void write(Writer& writer) const override {
    encode_callable(writer, f_);
    encode(writer, arguments_);
  }

 private:
  F f_;
  Tuple arguments_;
};

}  // namespace pinion::detail
