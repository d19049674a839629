// Whose turn it is to run the workers of a pool whose start method is `serial`.
//
// One thread at a time runs them, and its tasks may call the pool again: what they submit waits for
// the turn that is under way. A thread that runs a task for too long loses its turn.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace pinion::pool {

class InPlace {
 public:
  /// The calling thread's turn, or none.
  class Turn {
   public:
    /// Waits for it until the deadline (steady clock, ns; `os::never_ns`: without limit).
    Turn(InPlace& place, std::int64_t deadline_ns);
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn();
    /// False where it was not had, or has been lost.
    explicit operator bool() const noexcept;

   private:
    friend class InPlace;
    InPlace& place_;
    std::uint64_t number_ = 0;
    Turn* outer_ = nullptr;  // of this thread, in another pool
  };

  /// Whether the calling thread is inside a task of this pool.
  [[nodiscard]] bool inside() const noexcept;
  /// Takes the turn away from whoever has it: what it runs was abandoned.
  void revoke() noexcept;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t holder_ = 0;  // number of the turn; 0: nobody's
  std::uint64_t turns_ = 0;
};

}  // namespace pinion::pool
