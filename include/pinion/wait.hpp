// Waiting for several results at once, of one pool or of several.
#pragma once

#include <pinion/async_result.hpp>
#include <pinion/detail/arrivals.hpp>

#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace pinion {

namespace detail {

template <class T>
inline constexpr bool is_async_result = false;
template <class T>
inline constexpr bool is_async_result<AsyncResult<T>> = true;

template <class Range>
concept ResultRange =
    std::ranges::forward_range<Range> && is_async_result<std::ranges::range_value_t<Range>>;

/// What is left of a time limit that starts now.
class TimeLeft {
 public:
  explicit TimeLeft(std::int64_t limit_ns) noexcept : limit_ns_(limit_ns) {}
  /// Nanoseconds; `Duration::ns_max` where there is no limit.
  [[nodiscard]] std::int64_t ns() const noexcept {
    if (limit_ns_ == Duration::ns_max) return limit_ns_;
    const auto gone = std::chrono::steady_clock::now() - begin_;
    const std::int64_t left =
        limit_ns_ - std::chrono::duration_cast<std::chrono::nanoseconds>(gone).count();
    return left > 0 ? left : 0;
  }

 private:
  std::int64_t limit_ns_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// Opens what a handle hides, for those who wait.
struct ResultAccess {
  template <class T>
  static const EntryHandle& handle(const AsyncResult<T>& result) noexcept {
    return result.handle_;
  }
  template <class T>
  static AsyncResult<T> result(EntryHandle handle) noexcept {
    return AsyncResult<T>(std::move(handle));
  }
};

template <ResultRange Range>
std::optional<std::size_t> wait_any(Range&& results, std::int64_t limit_ns) {
  if (std::ranges::empty(results)) {
    throw std::invalid_argument("pinion::wait_any: there is no result to wait for");
  }
  std::size_t index = 0;
  bool looked = false;
  for (const auto& result : results) {
    LedgerEntry& entry = ResultAccess::handle(result).entry();
    if (looked ? entry.done() : poll_done(entry)) return index;
    looked = true;
    ++index;
  }
  Arrivals arrivals;
  index = 0;
  for (const auto& result : results) arrivals.add(ResultAccess::handle(result), index++);
  if (!arrivals.wait(limit_ns)) return std::nullopt;
  return static_cast<std::size_t>(arrivals.take()->tag);
}

}  // namespace detail

/// Waits until one of the results has ended, by value or by error. Returns the index of one that
/// has. Throws `std::invalid_argument` where there is none to wait for. O(results).
template <class Range>
requires detail::ResultRange<Range> std::size_t wait_any(Range&& results) {
  return *detail::wait_any(results, Duration::ns_max);
}
/// As above, at most `limit`; empty when the time ran out.
template <class Range>
requires detail::ResultRange<Range> std::optional<std::size_t> wait_any(Range&& results,
                                                                        Duration limit) {
  return detail::wait_any(results, limit.ns());
}

/// Waits until all of the results have ended, by value or by error. O(results).
template <class Range>
requires detail::ResultRange<Range>
void wait_all(Range&& results) {
  for (const auto& result : results) result.wait();
}
/// As above, at most `limit` in all; false when the time ran out.
template <class Range>
requires detail::ResultRange<Range>
bool wait_all(Range&& results, Duration limit) {
  const detail::TimeLeft left(limit.ns());
  for (const auto& result : results) {
    if (!result.wait(Duration(std::chrono::nanoseconds(left.ns())))) return false;
  }
  return true;
}

/// Results in the order in which they end: an input range, made by `as_completed`. Each
/// `AsyncResult` that it gives has ended. Its own memory is O(results), each step O(1).
template <class T>
class Completions {
 public:
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = AsyncResult<T>;
    using difference_type = std::ptrdiff_t;

    explicit Iterator(Completions* all) noexcept : all_(all) {}
    Iterator(Iterator&&) noexcept = default;
    Iterator& operator=(Iterator&&) noexcept = default;

    AsyncResult<T>& operator*() const noexcept { return all_->current_; }
    AsyncResult<T>* operator->() const noexcept { return &all_->current_; }
    Iterator& operator++() {
      all_->step();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return all_->left_ == 0; }

   private:
    Completions* all_;
  };

  template <class Range>
  explicit Completions(Range&& results) {
    for (const auto& result : results) {
      arrivals_.add(detail::ResultAccess::handle(result), left_);
      ++left_;
    }
  }

  /// Waits for the first. Once.
  Iterator begin() {
    if (left_ != 0) wait_for_one();
    return Iterator(this);
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  void step() {
    if (--left_ != 0) wait_for_one();
  }
  void wait_for_one() {
    arrivals_.wait(Duration::ns_max);
    current_ = detail::ResultAccess::result<T>(std::move(arrivals_.take()->handle));
  }

  detail::Arrivals arrivals_;
  std::size_t left_ = 0;  // the one that the iterator is at included
  AsyncResult<T> current_;
};

/// The results in the order in which they end, for a range-based for:
/// `for (auto& result : pinion::as_completed(results)) use(result.get());`
template <class Range>
requires detail::ResultRange<Range>
auto as_completed(Range&& results) {
  using Result = std::ranges::range_value_t<Range>;
  return Completions<typename Result::value_type>(std::forward<Range>(results));
}

}  // namespace pinion
