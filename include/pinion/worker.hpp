// One function in a process of its own: Process and Worker.
#pragma once

#include <pinion/async_result.hpp>
#include <pinion/detail/process_core.hpp>
#include <pinion/kinds.hpp>
#include <pinion/placement.hpp>
#include <pinion/pool.hpp>
#include <pinion/remote_call.hpp>
#include <pinion/wait.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace pinion {

namespace detail {

template <class F, class... Args>
using CallResult = value_of_result<result_of<std::decay_t<F>, Args...>>;

/// The call that a process will make: its arguments are converted and kept now.
template <class F, class... Args>
ProcessCall keep_call(F&& f, Args&&... args) {
  using Callable = std::decay_t<F>;
  require_callable<F, Args...>();
  struct Kept {
    Callable f;
    ArgumentTuple<Callable, Args...> arguments;
  };
  auto kept = std::make_shared<Kept>(
      Kept{std::forward<F>(f), make_arguments<Callable>(std::forward<Args>(args)...)});
  return [kept](Pool& pool) {
    return std::apply(
        [&](auto&... each) {
          return ResultAccess::handle(pool.apply_async(kept->f, std::move(each)...));
        },
        kept->arguments);
  };
}

/// What `exit` would be called with.
template <class R>
int exit_code(const EntryHandle& result) {
  if constexpr (std::is_same_v<R, int>) return lvalue_of<int>(result.entry());
  return 0;
}

template <class F>
inline constexpr bool is_process_call = !std::is_same_v<std::remove_cvref_t<F>, ProcessOptions> &&
                                        !std::is_base_of_v<ProcessCore, std::remove_cvref_t<F>>;

}  // namespace detail

/// A process that runs one function, or one coroutine, and ends; as Python's
/// `multiprocessing.Process`.
///
///     Process process(compress, path);
///     process.start();
///     const ExitStatus status = process.join();
///
/// The function and its arguments travel as those of `Pool::apply`. What it returns, if that is an
/// `int`, is the exit code, else 0; `exit(n)` in it ends the process with n. An exception that
/// leaves it makes the exit code 1, and `error()` gives it. The process is bound to no core unless
/// the options say so. It dies with the process that made it.
///
/// The end of this object waits for its process, as that of a `std::jthread` does; while an
/// exception unwinds, or with `ProcessOptions::daemon`, it kills it. Members may be called from any
/// thread but for the end, `close`, and `start`, before which there is nothing to ask for.
class Process : public detail::ProcessCore {
 public:
  /// Starts nothing yet. Throws `std::invalid_argument` for bad options.
  template <class F, class... Args>
  requires detail::is_process_call<F>
  explicit Process(F&& f, Args&&... args)
      : Process(ProcessOptions{}, std::forward<F>(f), std::forward<Args>(args)...) {}
  template <class F, class... Args>
  explicit Process(ProcessOptions options, F&& f, Args&&... args)
      : ProcessCore(std::move(options),
                    detail::keep_call(std::forward<F>(f), std::forward<Args>(args)...),
                    &detail::exit_code<detail::CallResult<F, Args...>>) {}

  /// `co_await process`: starts it, if that has not been done; then as `join`, without keeping the
  /// thread but for the moment in which the process leaves. Cancelled, the process goes on.
  auto operator co_await() {
    started_call();
    return join_async().operator co_await();
  }
};

/// A process that runs one function, or one coroutine, and gives its result; as `Worker` of
/// Python's `aiomultiprocess`.
///
///     Worker worker(count_words, path);
///     const int words = worker.get();
///
/// An exception that leaves the function is thrown by `get`, as from a pool; where the process ends
/// before it has a result, that is `WorkerLost` with its exit status. Else as `Process`, but that
/// the exit code of a function that returns is 0.
template <class R>
class Worker : public detail::ProcessCore {
 public:
  template <class F, class... Args>
  requires detail::is_process_call<F>
  explicit Worker(F&& f, Args&&... args)
      : Worker(ProcessOptions{}, std::forward<F>(f), std::forward<Args>(args)...) {}
  template <class F, class... Args>
  explicit Worker(ProcessOptions options, F&& f, Args&&... args)
      : ProcessCore(std::move(options),
                    detail::keep_call(std::forward<F>(f), std::forward<Args>(args)...),
                    &detail::exit_code<void>) {
    static_assert(std::is_same_v<R, detail::CallResult<F, Args...>>,
                  "pinion: Worker<R> needs a function that returns R, or a coroutine of Task<R>.");
  }

  /// Waits for the result; starts the process if that has not been done. The reference is valid as
  /// long as this object. Throws what the function threw, and `WorkerLost`.
  typename AsyncResult<R>::reference get() {
    const AsyncResult<R> lvalue = result();  // another handle stays here
    return lvalue.get();
  }
  /// As above, at most `limit`. Throws `WaitTimeout`; then it may be called again.
  typename AsyncResult<R>::reference get(Duration limit) {
    const AsyncResult<R> lvalue = result();
    return lvalue.get(limit);
  }
  /// A handle of the result, which may outlive this object; as `get` it starts the process.
  AsyncResult<R> result() { return detail::ResultAccess::result<R>(started_call()); }

  /// `co_await worker`: as `get`, without keeping the thread.
  auto operator co_await() { return detail::LvalueAwaiter<R>(started_call()); }
};

template <class F, class... Args>
requires detail::is_process_call<F> Worker(F&&, Args&&...)
->Worker<detail::CallResult<F, Args...>>;
template <class F, class... Args>
Worker(ProcessOptions, F&&, Args&&...) -> Worker<detail::CallResult<F, Args...>>;

}  // namespace pinion
