// The handle of a task or map that was given to a pool.
#pragma once

#include <pinion/detail/entry_handle.hpp>
#include <pinion/detail/map_call.hpp>
#include <pinion/detail/pool_awaiter.hpp>
#include <pinion/errors.hpp>
#include <pinion/time_limit.hpp>

#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace pinion {

namespace detail {

struct ResultAccess;

template <class T>
inline constexpr bool is_vector = false;
template <class R, class A>
inline constexpr bool is_vector<std::vector<R, A>> = true;

/// The value of an entry that is done without an error, as a new object.
template <class T>
T decode_value(LedgerEntry& entry) {
  const ResultView result = view(entry);
  struct Ends {
    LedgerEntry* entry;
    ~Ends() {
      if (entry != nullptr) end_reading(*entry);
    }
  } ends{result.in_place ? &entry : nullptr};
  if constexpr (is_vector<T>) {
    if (result.job != nullptr) {
      using R = typename T::value_type;
      return static_cast<TypedMapJob<R>*>(result.job)->take_result(result_code(entry));
    }
  }
  Reader reader(result.bytes.data(), result.bytes.data() + result.bytes.size(), result_code(entry));
  return decode<T>(reader);
}

/// Small values of plain bytes are read where the collector put them.
template <class T>
inline constexpr bool read_in_entry = is_block<T> && sizeof(T) <= inline_bytes_max &&
                                      alignof(T) <= 8;

template <class T>
const T& lvalue_of(LedgerEntry& entry) {
  if constexpr (read_in_entry<T>) {
    if (entry.side == nullptr && entry.bytes == sizeof(T)) {
      return *std::launder(reinterpret_cast<const T*>(entry.data));
    }
  }
  return *static_cast<const T*>(shared_value(entry, [&entry]() -> std::shared_ptr<void> {
    return std::make_shared<T>(decode_value<T>(entry));
  }));
}

template <class T>
T rvalue_of(const EntryHandle& handle) {
  LedgerEntry& entry = handle.entry();
  if constexpr (is_vector<T>) {
    if constexpr (is_block<typename T::value_type> && std::is_copy_constructible_v<T>) {
      // A map's values are kept once: they are moved out by the last handle, copied else.
      if (view(entry).job != nullptr) {
        const T& kept = lvalue_of<T>(entry);
        return handle.unique() ? std::move(const_cast<T&>(kept)) : kept;
      }
    }
  }
  return decode_value<T>(entry);
}

/// `co_await` of a handle that stays: as `get` on an lvalue.
template <class T>
class LvalueAwaiter final : public EntryAwaiter {
 public:
  using EntryAwaiter::EntryAwaiter;
  std::conditional_t<std::is_void_v<T>, void, std::add_lvalue_reference_t<const T>> await_resume() {
    finish();
    throw_error(handle_.entry());
    if constexpr (!std::is_void_v<T>) return lvalue_of<T>(handle_.entry());
  }
};

/// `co_await` of a handle that is given up: as `get` on an rvalue.
template <class T>
class RvalueAwaiter final : public EntryAwaiter {
 public:
  using EntryAwaiter::EntryAwaiter;
  T await_resume() {
    finish();
    throw_error(handle_.entry());
    if constexpr (!std::is_void_v<T>) return rvalue_of<T>(handle_);
  }
};

}  // namespace detail

class Pool;

/// A result that may still be on its way. Copyable: any number of handles and waiters, from any
/// thread. Dropping all handles neither cancels the task nor silences its callbacks, and a handle
/// may outlive its pool.
template <class T>
class AsyncResult {
 public:
  using value_type = T;
  /// What `get` gives on an lvalue: a reference that is valid while a handle lives.
  using reference =
      std::conditional_t<std::is_void_v<T>, void, std::add_lvalue_reference_t<const T>>;

  AsyncResult() noexcept = default;  ///< empty: every member throws `std::logic_error`

  /// Waits for the result and gives it, or throws the task's error: a new object at each call.
  reference get() const& {
    wait();
    return value();
  }
  /// As above, by value: moved out if this is the last handle, else copied.
  T get() && {
    wait();
    return std::move(*this).take();
  }
  /// Waits at most `limit`. Throws `WaitTimeout`; then it may be called again.
  reference get(Duration limit) const& {
    if (!wait(limit)) throw WaitTimeout();
    return value();
  }
  T get(Duration limit) && {
    if (!wait(limit)) throw WaitTimeout();
    return std::move(*this).take();
  }

  /// Waits until it is ready, by value or by error.
  void wait() const { static_cast<void>(detail::wait(handle_.entry(), Duration::ns_max)); }
  /// Waits at most `limit`; false when the time ran out.
  bool wait(Duration limit) const { return detail::wait(handle_.entry(), limit.ns()); }

  /// Whether it has ended. Collects what has arrived, without waiting.
  [[nodiscard]] bool ready() const { return detail::poll_done(handle_.entry()); }
  /// Whether it has ended with a value. Throws `NotReady` before it has ended.
  [[nodiscard]] bool successful() const {
    if (!ready()) throw NotReady();
    return !detail::has_error(handle_.entry());
  }

  /// In a coroutine that `pinion::run` runs: `co_await result` waits without keeping the thread,
  /// and gives or throws what `get` does: on an lvalue `const T&`, which is valid while a handle
  /// lives; on an rvalue (`co_await pool.apply_async(f)`) a value. Any number of coroutines may
  /// await one result. A coroutine that is cancelled stops waiting, with `Cancelled`, and the task
  /// goes on. Throws `std::logic_error` outside `pinion::run`.
  [[nodiscard]] auto operator co_await() const& { return detail::LvalueAwaiter<T>(handle_); }
  [[nodiscard]] auto operator co_await() && { return detail::RvalueAwaiter<T>(std::move(handle_)); }

  /// True when it now ends with `Cancelled` and nothing of it runs or will. False when it has ended
  /// or started: then a coroutine ends at its next await, and a plain task sees
  /// `this_task::stop_requested()`. Of a map: unstarted items end at once.
  bool cancel() const { return detail::cancel(handle_.entry()); }

  /// Calls `f(value)`, or `f()` for `void`, once it has ended with a value: on the callback thread,
  /// also when registered late. What `f` throws is counted and harms nothing.
  template <class F>
  void on_success(F f) const {
    detail::when_done(handle_.entry(), keep([self = *this, f = std::move(f)]() mutable {
                        if (detail::has_error(self.handle_.entry())) return;
                        if constexpr (std::is_void_v<T>) {
                          f();
                        } else {
                          f(self.value());
                        }
                      }));
  }

  /// Calls `f(std::exception_ptr)` once it has ended with an error; else as `on_success`.
  template <class F>
  void on_error(F f) const {
    detail::when_done(handle_.entry(), keep([self = *this, f = std::move(f)]() mutable {
                        if (auto error = detail::error_of(self.handle_.entry())) {
                          f(std::move(error));
                        }
                      }));
  }

 private:
  friend class Pool;
  friend struct detail::ResultAccess;
  explicit AsyncResult(detail::LedgerEntry* entry) noexcept : handle_(entry) {}
  explicit AsyncResult(detail::EntryHandle handle) noexcept : handle_(std::move(handle)) {}

  /// std::function wants to copy what it holds, and `f` may be move-only.
  template <class F>
  static std::function<void()> keep(F f) {
    return [kept = std::make_shared<F>(std::move(f))] { (*kept)(); };
  }

  reference value() const {
    detail::LedgerEntry& entry = handle_.entry();
    detail::throw_error(entry);
    if constexpr (!std::is_void_v<T>) return detail::lvalue_of<T>(entry);
  }
  T take() && {
    detail::throw_error(handle_.entry());
    if constexpr (!std::is_void_v<T>) return detail::rvalue_of<T>(handle_);
  }

  detail::EntryHandle handle_;
};

}  // namespace pinion
