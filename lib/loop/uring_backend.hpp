// The backend on io_uring. Entries are written as operations begin and submitted once per turn.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/loop/backend.hpp"
#include "lib/loop/completions.hpp"
#include "lib/loop/uring_setup.hpp"

namespace pinion::loop {

class UringBackend final : public Backend {
 public:
  /// Throws as `Ring` does.
  explicit UringBackend(Completions& completions) : completions_(completions) {}
  /// Cancels everything and waits for the kernel to let go.
  ~UringBackend() override;

  void arm(detail::Operation& operation) noexcept override;
  void cancel(detail::Operation& operation) noexcept override;
  std::int64_t abandon(detail::Operation& operation) noexcept override;
  void gather() override;
  void wait(std::int64_t deadline_ns) override;
  void set_wake_fd(int eventfd) noexcept override;

  [[nodiscard]] const char* mode() const noexcept { return ring_.mode(); }

 private:
  friend struct UringAccess;  // tests forge completions

  io_uring_sqe* next_entry() noexcept;
  void arm_wake() noexcept;
  void drain_wake() noexcept;
  void wait_for_one() noexcept;
  void cancel_entry(std::uint64_t tag, unsigned flags) noexcept;
  bool reap() noexcept;
  void ended(detail::Operation& operation, int result) noexcept;
  void not_done(detail::Operation& operation, int result) noexcept;
  void take_from_cancelled(detail::Operation& operation) noexcept;
  void cancel_missed() noexcept;
  bool take_from_again(detail::Operation& operation) noexcept;
  void rearm() noexcept;

  Completions& completions_;
  Ring ring_;
  detail::Operation* cancelled_ = nullptr;  // those in the kernel, first come first, by `next`
  detail::Operation** cancelled_end_ = &cancelled_;
  bool cancel_missed_ = false;          // a cancellation did not find its operation
  detail::Operation* again_ = nullptr;  // to be armed once more, by `next`; see ended()
  std::size_t in_kernel_ = 0;  // entries whose completion is due, those of cancellations included
  detail::Operation* abandoned_ = nullptr;
  bool closing_ = false;
  int wake_fd_ = -1;
  bool wake_armed_ = false;
  bool wake_rung_ = false;  // seen, and not yet told by a wait()
};

}  // namespace pinion::loop
