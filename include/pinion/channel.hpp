// A bounded channel between the coroutines of one event loop.
#pragma once

#include <pinion/detail/waiter.hpp>

#include <coroutine>
#include <cstddef>
#include <deque>
#include <new>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace pinion {

/// Carries values from senders to receivers, first in first out; any number of either. Each value
/// is received once. A sender waits while `capacity` values lie in it, a receiver while there is
/// none; both in their order.
///
/// For the coroutines of one loop, on its thread; between workers there is none. It must outlive
/// those who wait for it.
template <class T>
class Channel {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "a Channel moves its values where nothing may throw");

 public:
  /// Throws `std::invalid_argument` for 0.
  explicit Channel(std::size_t capacity) : capacity_(capacity) {
    if (capacity == 0)
      throw std::invalid_argument("pinion::Channel: the capacity must be at least 1");
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  class SendAwaiter final : public detail::Waiter {
   public:
    SendAwaiter(Channel& channel, T value) noexcept : channel_(channel), value_(std::move(value)) {}
    bool await_ready() {
      prepare();
      sent_ = channel_.try_send(value_);
      return sent_ || channel_.closed_;
    }
    void await_suspend(std::coroutine_handle<> waiter) noexcept {
      channel_.senders_.push_back(*this);
      begin(waiter);
    }
    [[nodiscard]] bool await_resume() {
      finish();
      return sent_;
    }

   private:
    friend Channel;
    Channel& channel_;
    T value_;
    bool sent_ = false;
  };

  class ReceiveAwaiter final : public detail::Waiter {
   public:
    explicit ReceiveAwaiter(Channel& channel) noexcept : channel_(channel) {}
    /// A value that nobody will take goes back to the front.
    ~ReceiveAwaiter() {
      if (value_ && was_woken()) channel_.put_back(std::move(*value_));
    }
    bool await_ready() {
      prepare();
      if (auto value = channel_.try_receive()) value_.emplace(std::move(*value));
      return value_ || channel_.closed_;
    }
    void await_suspend(std::coroutine_handle<> waiter) noexcept {
      channel_.receivers_.push_back(*this);
      begin(waiter);
    }
    std::optional<T> await_resume() {
      finish();
      return std::move(value_);
    }

   private:
    friend Channel;
    Channel& channel_;
    std::optional<T> value_;
  };

  /// Sends a value; waits while the channel is full. `co_await` gives false, and the value is
  /// dropped, if the channel is closed or is closed meanwhile. Throws `Cancelled`, and then has
  /// sent nothing; `std::bad_alloc`; `std::logic_error` outside an event loop. Await each result
  /// once. O(1).
  [[nodiscard]] SendAwaiter send(T value) noexcept { return {*this, std::move(value)}; }
  /// Receives a value; waits while there is none. `co_await` gives an empty optional once the
  /// channel is closed and everything in it was received. Throws `Cancelled`, and then has taken
  /// nothing; `std::logic_error` outside an event loop. Await each result once. O(1).
  [[nodiscard]] ReceiveAwaiter receive() noexcept { return ReceiveAwaiter(*this); }

  /// Sends a value if there is room: then it is moved from, else left alone. False also once the
  /// channel is closed. Throws `std::bad_alloc`. O(1).
  [[nodiscard]] bool try_send(T& value) {
    if (closed_) return false;
    if (hand_over(value)) return true;
    if (values_.size() >= capacity_) return false;
    values_.push_back(std::move(value));
    return true;
  }
  /// Receives a value if there is one. Throws `std::bad_alloc`. O(1).
  [[nodiscard]] std::optional<T> try_receive() {
    if (values_.empty()) return std::nullopt;
    if (!senders_.empty() && values_.size() <= capacity_) {
      auto& sender = static_cast<SendAwaiter&>(senders_.front());
      values_.push_back(std::move(sender.value_));
      sender.sent_ = true;
      sender.wake();
    }
    std::optional<T> value(std::move(values_.front()));
    values_.pop_front();
    return value;
  }

  /// No more values can be sent. Those in the channel can still be received; senders that wait get
  /// false, receivers that wait an empty optional. Again: no effect. O(those that wait).
  void close() noexcept {
    closed_ = true;
    while (!senders_.empty()) static_cast<SendAwaiter&>(senders_.front()).wake();
    while (!receivers_.empty()) static_cast<ReceiveAwaiter&>(receivers_.front()).wake();
  }

  [[nodiscard]] bool closed() const noexcept { return closed_; }
  /// How many values lie in it now. O(1).
  [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 private:
  /// To the receiver that has waited longest.
  bool hand_over(T& value) noexcept {
    if (receivers_.empty()) return false;
    auto& receiver = static_cast<ReceiveAwaiter&>(receivers_.front());
    receiver.value_.emplace(std::move(value));
    receiver.wake();
    return true;
  }
  void put_back(T value) noexcept {
    if (hand_over(value)) return;
    try {
      values_.push_front(std::move(value));
    } catch (const std::bad_alloc&) {
      return;  // lost, with the coroutine that was destroyed
    }
  }

  std::size_t capacity_;
  std::deque<T> values_;        // empty while a receiver waits
  detail::LinkList senders_;    // of SendAwaiter
  detail::LinkList receivers_;  // of ReceiveAwaiter
  bool closed_ = false;
};

}  // namespace pinion
