// The pool: worker processes bound to cores, and the calls that Python's Pool has.
#pragma once

#include <pinion/async_result.hpp>
#include <pinion/chunking.hpp>
#include <pinion/detail/map_items.hpp>
#include <pinion/detail/range_input.hpp>
#include <pinion/info.hpp>
#include <pinion/options.hpp>
#include <pinion/shared_array.hpp>
#include <pinion/stream.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace pinion {

/// A pool of worker processes.
///
/// `f` is a function, a lambda without captures or whose captures are trivially copyable, or a
/// functor struct with a codec. Where it has one signature, each argument is converted to the
/// decayed parameter type and travels as that. If it returns `Task<R>` it is a coroutine task, of
/// which a worker runs up to `child_concurrency` at once.
///
/// A capture that refers to the caller's stack is an `EncodingError`; a pointer to anything else
/// finds in the worker what lay there when the pool was made.
///
/// Every member may be called from any thread. After `close`, `terminate`, or in a forked child,
/// a submit throws `PoolClosed`. At `max_pending` a submit waits until there is room.
class Pool {
  template <class F, class... Args>
  using ResultOf = detail::value_of_result<detail::result_of<std::decay_t<F>, Args...>>;
  template <class F, class Range>
  using ItemOf = detail::MapArgument<std::decay_t<F>, std::ranges::range_value_t<Range>>;
  template <class R>
  using MapResult = std::conditional_t<std::is_void_v<R>, std::type_identity<void>,
                                       std::type_identity<std::vector<R>>>;
  template <class F, class Range>
  using MapResultOf = typename MapResult<ResultOf<F, std::ranges::range_value_t<Range>>>::type;
  template <class F, class Range>
  using StarItemOf = detail::StarArguments<std::decay_t<F>, std::ranges::range_value_t<Range>>;
  template <class F, class Range>
  using StarResultOf =
      typename detail::MapThunk<std::decay_t<F>, StarItemOf<F, Range>, detail::Spread::yes>::Value;
  template <class F, class Range>
  using StarmapResultOf = typename MapResult<StarResultOf<F, Range>>::type;
  template <class F>
  static constexpr bool is_callable = !std::is_same_v<std::remove_cvref_t<F>, TaskOptions>;

 public:
  /// Makes the workers and waits until each is ready.
  ///
  /// Throws `std::invalid_argument` for bad options, `StartError` where workers cannot be started
  /// (the initializer's error included), `ResourceError` where a limit is too low.
  explicit Pool(PoolOptions options = {}) { detail::make_pool(std::move(options), core_); }
  explicit Pool(unsigned processes) : Pool(PoolOptions{.processes = processes}) {}

  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  /// Normally `close` and `join`; while an exception unwinds, `terminate` and `join`. Never throws,
  /// and does nothing in a forked child.
  ~Pool() { detail::end_pool(*core_, std::uncaught_exceptions() > exceptions_); }

  /// `f(args...)` in a worker; waits for the result. Costs about two cache-line round trips.
  template <class F, class... Args>
  requires is_callable<F> ResultOf<F, Args...> apply(F&& f, Args&&... args) {
    return apply_async(std::forward<F>(f), std::forward<Args>(args)...).get();
  }
  template <class F, class... Args>
  ResultOf<F, Args...> apply(const TaskOptions& options, F&& f, Args&&... args) {
    return apply_async(options, std::forward<F>(f), std::forward<Args>(args)...).get();
  }

  /// As `apply`, without waiting.
  template <class F, class... Args>
  requires is_callable<F> AsyncResult<ResultOf<F, Args...>> apply_async(F&& f, Args&&... args) {
    return submit_call(nullptr, std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  AsyncResult<ResultOf<F, Args...>> apply_async(const TaskOptions& options, F&& f, Args&&... args) {
    return submit_call(&options, std::forward<F>(f), std::forward<Args>(args)...);
  }

  /// `f(item)` for each item of a range; the results in the range's order (nothing where `f`
  /// returns void). All items run; then the error of the lowest index is thrown, if any failed.
  /// O(items).
  template <class F, std::ranges::input_range Range>
  requires is_callable<F> MapResultOf<F, Range> map(F&& f, Range&& range, Chunking chunking = {}) {
    return submit_waiting_map(nullptr, std::forward<F>(f), std::forward<Range>(range), chunking)
        .get();
  }
  template <class F, std::ranges::input_range Range>
  MapResultOf<F, Range> map(const TaskOptions& options, F&& f, Range&& range,
                            Chunking chunking = {}) {
    return submit_waiting_map(&options, std::forward<F>(f), std::forward<Range>(range), chunking)
        .get();
  }

  /// As `map`, without waiting. The items are copied, or moved out of an rvalue container.
  template <class F, std::ranges::input_range Range>
  requires is_callable<F> AsyncResult<MapResultOf<F, Range>> map_async(F&& f, Range&& range,
                                                                       Chunking chunking = {}) {
    return submit_owned_map(nullptr, std::forward<F>(f), std::forward<Range>(range), chunking);
  }
  template <class F, std::ranges::input_range Range>
  AsyncResult<MapResultOf<F, Range>> map_async(const TaskOptions& options, F&& f, Range&& range,
                                               Chunking chunking = {}) {
    return submit_owned_map(&options, std::forward<F>(f), std::forward<Range>(range), chunking);
  }

  /// `f(a, b, ...)` for each item {a, b, ...} of a range of tuples, pairs or `std::array`s; else as
  /// `map`.
  template <class F, std::ranges::input_range Range>
  requires is_callable<F> StarmapResultOf<F, Range> starmap(F&& f, Range&& range,
                                                            Chunking chunking = {}) {
    return starmap_async(std::forward<F>(f), std::forward<Range>(range), chunking).get();
  }
  template <class F, std::ranges::input_range Range>
  StarmapResultOf<F, Range> starmap(const TaskOptions& options, F&& f, Range&& range,
                                    Chunking chunking = {}) {
    return starmap_async(options, std::forward<F>(f), std::forward<Range>(range), chunking).get();
  }

  /// As `starmap`, without waiting. The items are copied, or moved out of an rvalue container.
  template <class F, std::ranges::input_range Range>
  requires is_callable<F> AsyncResult<StarmapResultOf<F, Range>> starmap_async(
      F&& f, Range&& range, Chunking chunking = {}) {
    return submit_starmap(nullptr, std::forward<F>(f), std::forward<Range>(range), chunking);
  }
  template <class F, std::ranges::input_range Range>
  AsyncResult<StarmapResultOf<F, Range>> starmap_async(const TaskOptions& options, F&& f,
                                                       Range&& range, Chunking chunking = {}) {
    return submit_starmap(&options, std::forward<F>(f), std::forward<Range>(range), chunking);
  }

  /// `f(item)` for each item of a range that is read while its results are used: a stream of them,
  /// in the range's order. The range may be endless. An lvalue container is copied, a view copied
  /// as a view. Throws `PoolClosed`.
  template <class F, std::ranges::input_range Range>
  ResultStream<ResultOf<F, std::ranges::range_value_t<Range>>> imap(
      F&& f, Range&& range, const StreamOptions& options = {}) {
    return open_stream(true, std::forward<F>(f), std::forward<Range>(range), options);
  }
  /// As `imap`, each result as soon as there is one; `next_item` says whose it is.
  template <class F, std::ranges::input_range Range>
  ResultStream<ResultOf<F, std::ranges::range_value_t<Range>>> imap_unordered(
      F&& f, Range&& range, const StreamOptions& options = {}) {
    return open_stream(false, std::forward<F>(f), std::forward<Range>(range), options);
  }
  /// As `imap`, of `f(a, b, ...)` for each item {a, b, ...} of a range of tuples.
  template <class F, std::ranges::input_range Range>
  ResultStream<StarResultOf<F, Range>> istarmap(F&& f, Range&& range,
                                                const StreamOptions& options = {}) {
    detail::require_tuples<std::ranges::range_value_t<Range>>();
    detail::require_spread_callable<F, std::ranges::range_value_t<Range>>();
    return make_stream<StarItemOf<F, Range>, detail::Spread::yes>(
        true, std::forward<F>(f), std::forward<Range>(range), options);
  }

  /// `f(args...)` once in every worker; the results in the order of the workers. All run; then the
  /// error of the lowest worker is thrown, if any failed. O(workers).
  template <class F, class... Args>
  requires is_callable<F>
  auto broadcast(F&& f, const Args&... args) { return broadcast(TaskOptions(), f, args...); }
  template <class F, class... Args>
  auto broadcast(const TaskOptions& options, F&& f, const Args&... args) {
    using R = ResultOf<F, Args...>;
    std::vector<AsyncResult<R>> results;
    TaskOptions one = options;
    for (unsigned worker = 0; worker < processes(); ++worker) {
      one.worker = worker;
      results.push_back(apply_async(one, f, args...));
    }
    for (const auto& result : results) result.wait();
    if constexpr (std::is_void_v<R>) {
      for (auto& result : results) result.get();
    } else {
      std::vector<R> values;
      values.reserve(results.size());
      for (auto& result : results) values.push_back(std::move(result).get());
      return values;
    }
  }

  /// `out[i] = f(in[i])` for each element, in the workers and in place: nothing travels but where
  /// a chunk begins and ends. `in` and `out` may be the same array. Elements that cost less than
  /// 100 ns run in strips of 32, which become vector code where `f` can; a strip shares its death.
  /// All elements run; then the error of the lowest is thrown. Throws `std::invalid_argument` where
  /// the sizes differ. `this_task::index()` is that of the strip's first element. O(elements).
  template <class F, class T, class U>
  void map_into(F&& f, SharedArray<T> in, SharedArray<U> out, Chunking chunking = {});

  /// `f(i)` for each i below `n`, else as `map_into`. What `f` returns is dropped; it writes to
  /// shared arrays, whose views it captures.
  template <class F>
  void for_each_index(std::size_t n, F&& f, Chunking chunking = {});

  /// `op(... op(op(init, a), b) ..., z)`, where a, b, ... z are partial results of `op` over
  /// `f(item)` for blocks of the range, in its order. The range is a container, a view, a
  /// `SharedArray`, or `std::views::iota(0, n)`, of which nothing travels.
  ///
  /// The result is the same to the bit whatever the number of workers and their timing: a block is
  /// cut by the range's length n alone, into pieces of (n - 1) / 4096 + 1 items, or of the size of
  /// a fixed chunking. (Other chunkings say how blocks are given out.) So `op` should be
  /// associative, but need not be exactly, as floating-point addition. An empty range gives `init`.
  /// `op` runs in the workers and here. An item that throws ends its block; then the error of the
  /// lowest item is thrown, and its index is its block's. O(items), and 4096 values of T.
  template <class F, class Range, class Op, class T>
  T map_reduce(F&& f, Range&& range, Op op, T init, Chunking chunking = {});

  /// Takes no new tasks; what was accepted finishes. Idempotent.
  void close() { detail::close_pool(*core_); }
  /// Stops now: what has not a complete result ends with `PoolTerminated`. Idempotent. O(1) here;
  /// the service thread then ends what waits, O(1) each.
  void terminate() { detail::terminate_pool(*core_); }
  /// Waits for the end of the workers and of the last callback. Throws `std::logic_error` if the
  /// pool is neither closed nor terminated, or from a callback.
  void join() { static_cast<void>(detail::join_pool(*core_, Duration::ns_max)); }
  /// As above, at most `limit`; false when the time ran out.
  bool join(Duration limit) { return detail::join_pool(*core_, limit.ns()); }

  /// How many workers the pool has. O(1).
  [[nodiscard]] unsigned processes() const { return detail::process_count(*core_); }
  /// Each worker as it is now. Takes the pool's lock; O(workers).
  [[nodiscard]] std::vector<WorkerInfo> workers() const { return detail::worker_infos(*core_); }
  /// Counters since the pool was made. Takes the pool's lock; O(1).
  [[nodiscard]] PoolStats stats() const { return detail::pool_stats(*core_); }

 private:
  template <class F, class... Args>
  AsyncResult<ResultOf<F, Args...>> submit_call(const TaskOptions* options, F&& f, Args&&... args) {
    using Callable = std::decay_t<F>;
    using Tuple = detail::ArgumentTuple<Callable, Args...>;
    detail::require_callable<F, Args...>();
    const Callable& callable = f;
    detail::check_closure(callable);
    using Thunks = detail::CallThunk<Callable, Tuple>;
    detail::Submission submission{reinterpret_cast<const void*>(&Thunks::run),
                                  Thunks::coroutine,
                                  0,
                                  nullptr,
                                  nullptr,
                                  options};
    if constexpr (detail::travels_inline<Callable, Tuple>) {
      constexpr std::size_t bytes = *detail::fixed_call_size<Callable, Tuple>;
      std::byte encoded[detail::inline_bytes_max];
      const auto arguments = detail::make_arguments<Callable>(std::forward<Args>(args)...);
      detail::ArrayHandles arrays;
      if constexpr (detail::call_may_name_array<Callable, Tuple>()) submission.arrays = &arrays;
      detail::Writer writer(encoded, encoded + bytes, core_->code, submission.arrays);
      detail::encode_callable(writer, callable);
      detail::encode(writer, arguments);
      submission.inline_bytes = bytes;
      submission.inline_arguments = encoded;
      return AsyncResult<ResultOf<F, Args...>>(detail::submit(*core_, submission));
    } else {
      const auto arguments = detail::borrow_arguments<Callable>(std::forward<Args>(args)...);
      const detail::BorrowedCall<Callable, decltype(arguments)> call(callable, arguments);
      submission.call = &call;
      return AsyncResult<ResultOf<F, Args...>>(detail::submit(*core_, submission));
    }
  }

  template <detail::Spread spread = detail::Spread::no, class F, class Items>
  auto start_map(const TaskOptions* options, F&& f, Items items, Chunking chunking) {
    using Callable = std::decay_t<F>;
    using T = std::remove_cvref_t<decltype(items[0])>;
    using R = typename detail::MapThunk<Callable, T, spread>::Value;
    const Callable& callable = f;
    detail::check_closure(callable);
    auto job = std::make_unique<detail::RangeMapJob<Callable, T, Items, spread>>(callable,
                                                                                 std::move(items));
    job->chunking = chunking;
    return AsyncResult<typename MapResult<R>::type>(
        detail::submit_map(*core_, std::move(job), options));
  }

  template <class Call>
  void run_loop(Call call, std::size_t n, Chunking chunking);
  template <class Item, class With, class Items, class Op, class T>
  T reduce_items(With with, Items items, Op& op, T init, const Chunking& chunking);
  template <class Fold, class Blocks, class Op, class T>
  T reduce(Fold fold, Blocks blocks, Op& op, T init, const Chunking& chunking);

  template <class F, class Range>
  auto submit_owned_map(const TaskOptions* options, F&& f, Range&& range, Chunking chunking) {
    detail::require_callable<F, std::ranges::range_value_t<Range>>();
    using T = ItemOf<F, Range>;
    return start_map(options, std::forward<F>(f), detail::OwnedItems<T>(std::forward<Range>(range)),
                     chunking);
  }

  template <class F, class Range>
  auto submit_starmap(const TaskOptions* options, F&& f, Range&& range, Chunking chunking) {
    using Item = std::ranges::range_value_t<Range>;
    detail::require_tuples<Item>();
    detail::require_spread_callable<F, Item>();
    using Items = detail::OwnedItems<StarItemOf<F, Range>>;
    return start_map<detail::Spread::yes>(
        options, std::forward<F>(f), Items(typename Items::Spread{}, std::forward<Range>(range)),
        chunking);
  }

  template <class F, class Range>
  auto open_stream(bool in_order, F&& f, Range&& range, const StreamOptions& options) {
    detail::require_callable<F, std::ranges::range_value_t<Range>>();
    return make_stream<ItemOf<F, Range>, detail::Spread::no>(in_order, std::forward<F>(f),
                                                             std::forward<Range>(range), options);
  }

  template <class T, detail::Spread spread, class F, class Range>
  auto make_stream(bool in_order, F&& f, Range&& range, const StreamOptions& options) {
    using Callable = std::decay_t<F>;
    using Input = detail::RangeInput<T, std::remove_cvref_t<Range>, spread>;
    using R = typename detail::MapThunk<Callable, T, spread>::Value;
    static_assert(std::constructible_from<std::remove_cvref_t<Range>, Range>,
                  "pinion: a stream keeps its range, and this one cannot be copied. Give it with "
                  "std::move, or give a view of it that lives as long as the stream.");
    const Callable& callable = f;
    detail::check_closure(callable);
    const detail::StreamLimits limits{options.chunksize, options.window, in_order};
    return ResultStream<R>(std::make_unique<detail::Stream>(
        *core_, detail::stream_call<Callable, T, spread>(callable, core_->code),
        std::make_unique<Input>(std::forward<Range>(range), core_->code), limits, options.task));
  }

  template <class F, class Range>
  auto submit_waiting_map(const TaskOptions* options, F&& f, Range&& range, Chunking chunking) {
    using T = ItemOf<F, Range>;
    if constexpr (detail::ReadableInPlace<Range, T>) {
      detail::require_callable<F, std::ranges::range_value_t<Range>>();
      return start_map(options, std::forward<F>(f),
                       detail::BorrowedItems<T>(std::ranges::data(range),
                                                static_cast<std::size_t>(std::ranges::size(range))),
                       chunking);
    } else {
      return submit_owned_map(options, std::forward<F>(f), std::forward<Range>(range), chunking);
    }
  }

  friend struct detail::PoolAccess;
  friend struct detail::ProcessAccess;
  friend struct detail::CoreOf;

  detail::PoolCore* core_ = nullptr;
  int exceptions_ = std::uncaught_exceptions();
};

inline detail::PoolCore& detail::CoreOf::pool(Pool& pool) noexcept { return *pool.core_; }

}  // namespace pinion

#include <pinion/detail/pool_loops.hpp>
