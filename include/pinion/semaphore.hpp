// A semaphore between the coroutines of one event loop.
#pragma once

#include <pinion/detail/waiter.hpp>

#include <coroutine>
#include <cstddef>
#include <utility>

namespace pinion {

/// Counts permits, for which coroutines wait in their order: a permit that is given back goes to
/// the one that has waited longest, and nobody overtakes it.
///
/// For the coroutines of one loop, on its thread; between workers there is none. It must outlive
/// those who wait for it and the permits that it gave.
class Semaphore {
 public:
  /// With so many permits at the start.
  explicit Semaphore(std::size_t permits) noexcept : available_(permits) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  class AcquireAwaiter : public detail::Waiter {
   public:
    explicit AcquireAwaiter(Semaphore& semaphore) noexcept : semaphore_(semaphore) {}
    /// A permit that nobody will take is given back.
    ~AcquireAwaiter() {
      if (was_woken()) semaphore_.release();
    }
    bool await_ready() {
      prepare();
      return semaphore_.try_acquire();
    }
    void await_suspend(std::coroutine_handle<> waiter) noexcept {
      semaphore_.waiters_.push_back(*this);
      begin(waiter);
    }
    void await_resume() { finish(); }

   protected:
    Semaphore& semaphore_;
  };

  /// One permit, given back when this is destroyed.
  class [[nodiscard]] Permit {
   public:
    Permit(Permit&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)) {}
    Permit& operator=(Permit&& other) noexcept {
      std::swap(semaphore_, other.semaphore_);
      return *this;
    }
    Permit(const Permit&) = delete;
    Permit& operator=(const Permit&) = delete;
    ~Permit() {
      if (semaphore_ != nullptr) semaphore_->release();
    }

   private:
    friend Semaphore;
    explicit Permit(Semaphore& semaphore) noexcept : semaphore_(&semaphore) {}
    Semaphore* semaphore_;
  };

  class PermitAwaiter final : public AcquireAwaiter {
   public:
    using AcquireAwaiter::AcquireAwaiter;
    Permit await_resume() {
      AcquireAwaiter::await_resume();
      return Permit(semaphore_);
    }
  };

  /// Takes a permit; waits for one where there is none. Throws `Cancelled`, and then has taken
  /// none; `std::logic_error` outside an event loop. Await each result once. O(1).
  [[nodiscard]] AcquireAwaiter acquire() noexcept { return AcquireAwaiter(*this); }
  /// The same, for `Semaphore::Permit permit = co_await semaphore.permit()`, which gives it back by
  /// itself, also when something throws.
  [[nodiscard]] PermitAwaiter permit() noexcept { return PermitAwaiter(*this); }
  /// Takes a permit if there is one and nobody waits. O(1).
  [[nodiscard]] bool try_acquire() noexcept {
    if (available_ == 0) return false;
    --available_;
    return true;
  }
  /// Gives permits back, or adds some. O(permits).
  void release(std::size_t permits = 1) noexcept {
    for (; permits > 0 && !waiters_.empty(); --permits)
      static_cast<AcquireAwaiter&>(waiters_.front()).wake();
    available_ += permits;
  }
  /// How many could be taken now. O(1).
  [[nodiscard]] std::size_t available() const noexcept { return available_; }

 private:
  std::size_t available_;     // 0 while somebody waits
  detail::LinkList waiters_;  // of AcquireAwaiter
};

}  // namespace pinion
