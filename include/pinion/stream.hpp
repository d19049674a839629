// The results of a range that is read while they are used.
#pragma once

#include <pinion/detail/codec_entry.hpp>
#include <pinion/detail/operation.hpp>
#include <pinion/detail/stream_core.hpp>
#include <pinion/errors.hpp>
#include <pinion/task.hpp>
#include <pinion/time_limit.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

namespace pinion {

class Pool;

/// The results of `Pool::imap` and its kin: an input range, and a queue for several consumers.
///
/// At most `StreamOptions::window` items are taken from the range ahead of who takes results, by
/// the thread that calls `imap` or `next`; so the range may be endless, and a slow item in front
/// costs no more memory than that. An item's error is thrown at its turn, and the stream goes on
/// after it. What reading the range throws comes after the items before it, and ends the stream.
/// Once a pool that was closed is joined, streams take no more: then `PoolClosed` is thrown at the
/// end, once.
///
/// Dropping a stream cancels what it has under way. It may outlive its pool. Any thread may call
/// any member; each item goes to one of those who wait.
template <class R>
class ResultStream {
 public:
  /// What an item without a value is in ranges: nothing.
  using value_type = std::conditional_t<std::is_void_v<R>, std::monostate, R>;
  /// What `next` returns: empty, or false, where no item is left.
  using Next = std::conditional_t<std::is_void_v<R>, bool, std::optional<value_type>>;

  struct Item {
    std::uint64_t index;  ///< its place in the range, from 0
    value_type value;
  };

  ResultStream() noexcept = default;  ///< empty: every member throws `std::logic_error`

  /// Waits for the next result. Throws the item's error.
  Next next() { return plain(take(Duration::ns_max)); }
  /// As above, at most `limit`. Throws `WaitTimeout`; then it may be called again.
  Next next(Duration limit) { return plain(take(limit.ns())); }
  /// As `next`, with the item's place in the range.
  std::optional<Item> next_item() { return take(Duration::ns_max); }
  std::optional<Item> next_item(Duration limit) { return take(limit.ns()); }

  /// `co_await stream.next_async()`: as `next`, in a coroutine that `pinion::run` runs, without
  /// keeping the thread. Cancelled, it has taken nothing. The stream must stay until it has ended.
  /// Reading the range may wait for room in the pool, with the thread (`max_pending`).
  [[nodiscard]] Task<Next> next_async() { return next_of(require()); }
  /// The same, as `next_item`.
  [[nodiscard]] Task<std::optional<Item>> next_item_async() { return take_async(require()); }

  /// Takes an item with each step. After an error another `begin` goes on behind it.
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = typename ResultStream::value_type;
    using difference_type = std::ptrdiff_t;

    explicit Iterator(ResultStream* stream) : stream_(stream), item_(stream->next_item()) {}
    Iterator(Iterator&&) = default;
    Iterator& operator=(Iterator&&) = default;

    value_type& operator*() const noexcept { return item_->value; }
    value_type* operator->() const noexcept { return &item_->value; }
    Iterator& operator++() {
      item_ = stream_->next_item();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return !item_.has_value(); }

   private:
    ResultStream* stream_;
    mutable std::optional<Item> item_;
  };
  Iterator begin() { return Iterator(this); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend class Pool;
  explicit ResultStream(std::unique_ptr<detail::Stream> stream) noexcept
      : stream_(std::move(stream)) {}

  [[nodiscard]] detail::Stream& require() const {
    if (stream_ == nullptr) {
      throw std::logic_error("pinion::ResultStream: this stream is empty or was moved from");
    }
    return *stream_;
  }
  std::optional<Item> take(std::int64_t limit_ns) {
    detail::StreamItem item;
    detail::Stream& stream = require();
    if (!stream.next(item, limit_ns)) return std::nullopt;
    return open(stream, item);
  }
  static Task<std::optional<Item>> take_async(detail::Stream& stream) {
    for (;;) {
      detail::require_running_loop();
      detail::StreamItem item;
      const detail::StreamLook look = stream.look(item);
      if (look == detail::StreamLook::over) co_return std::nullopt;
      if (look == detail::StreamLook::taken) co_return open(stream, item);
      co_await detail::StreamAwaiter(stream);
    }
  }
  static Task<Next> next_of(detail::Stream& stream) {
    co_return plain(co_await take_async(stream));
  }
  static std::optional<Item> open(detail::Stream& stream, const detail::StreamItem& item) {
    detail::throw_error(item);
    if constexpr (std::is_void_v<R>) {
      return Item{item.index, {}};
    } else {
      const auto* const begin = reinterpret_cast<const std::byte*>(item.bytes.data());
      detail::Reader reader(begin, begin + item.bytes.size(), stream.result_code());
      return Item{item.index, detail::decode<R>(reader)};
    }
  }
  static Next plain(std::optional<Item> item) {
    if constexpr (std::is_void_v<R>) {
      return item.has_value();
    } else {
      if (!item) return std::nullopt;
      return std::move(item->value);
    }
  }

  std::unique_ptr<detail::Stream> stream_;
};

}  // namespace pinion
