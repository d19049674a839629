#include "lib/loop/uring_backend.hpp"

#include <poll.h>
#include <sched.h>

#include <cerrno>
#include <utility>

#include "lib/loop/readiness.hpp"
#include "lib/loop/uring_entry.hpp"
#include "lib/os/clock.hpp"
#include "lib/os/ensure.hpp"
#include "lib/os/eventfd.hpp"

namespace pinion::loop {

using detail::Operation;
using detail::OperationKind;

namespace {

// Operations are told apart by their address; these two lie below every address.
constexpr std::uint64_t cancel_tag = 0;
constexpr std::uint64_t wake_tag = 1;

// What an operation's entry is doing, in Operation::backend_word: it does the operation, or waits
// until the descriptor is ready; and it may have been cancelled.
constexpr std::int32_t doing_itself = 0;
constexpr std::int32_t awaiting_readiness = 1;
constexpr std::int32_t being_cancelled = 2;

std::uint64_t tag_of(const Operation& operation) noexcept {
  return reinterpret_cast<std::uintptr_t>(&operation);
}

/// Nothing was taken by the kernel, and trying again is right.
bool is_passing(int rc) noexcept { return rc == -EINTR || rc == -EAGAIN || rc == -EBUSY; }

}  // namespace

UringBackend::~UringBackend() {
  closing_ = true;  // nothing is armed again
  rearm();
  set_wake_fd(-1);
  while (in_kernel_ != 0) {
    // Again and again: what is on its way between two places in the kernel is not found.
    cancel_entry(0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    wait_for_one();
    if (in_kernel_ != 0) wait_for_one();
  }
  PINION_ENSURE(completions_.pending == 0);
}

/// Room for one entry. A full queue is submitted; the kernel may first want completions taken.
io_uring_sqe* UringBackend::next_entry() noexcept {
  for (;;) {
    if (io_uring_sqe* const entry = io_uring_get_sqe(ring_.get())) {
      ++in_kernel_;
      return entry;
    }
    const int rc = io_uring_submit(ring_.get());
    PINION_ENSURE(rc >= 0 || is_passing(rc));
    if (rc == -EBUSY || rc == -EAGAIN) {
      if (io_uring_cq_has_overflow(ring_.get())) (void)io_uring_get_events(ring_.get());
      if (!reap()) (void)::sched_yield();  // short of memory: others may free some
    }
  }
}

void UringBackend::arm(Operation& operation) noexcept {
  io_uring_sqe* const entry = next_entry();
  operation.backend_word = doing_itself;
  prepare_entry(entry, operation);
  io_uring_sqe_set_data64(entry, tag_of(operation));
}

/// Entries are taken in order, so this one can only meet the operation it was made for, even where
/// a later one has the same address.
void UringBackend::cancel_entry(std::uint64_t tag, unsigned flags) noexcept {
  io_uring_sqe* const entry = next_entry();
  io_uring_prep_cancel64(entry, tag, static_cast<int>(flags));
  io_uring_sqe_set_data64(entry, cancel_tag);
}

void UringBackend::cancel(Operation& operation) noexcept {
  // Without an entry there is nothing to cancel.
  if (take_from_again(operation)) return completions_.finish(operation, -ECANCELED);
  operation.backend_word |= being_cancelled;
  operation.next = nullptr;
  *cancelled_end_ = &operation;
  cancelled_end_ = &operation.next;
  cancel_entry(tag_of(operation), 0);  // last: to find room may end the operation
}

/// Those that were cancelled mostly end in that order, so that it is found at once.
void UringBackend::take_from_cancelled(Operation& operation) noexcept {
  operation.backend_word &= ~being_cancelled;
  Operation** at = &cancelled_;
  while (*at != &operation) at = &(*at)->next;
  *at = operation.next;
  if (cancelled_end_ == &operation.next) cancelled_end_ = at;
}

/// The kernel does not find an operation that is just on its way from one of its queues to another:
/// where it missed any, all that have not ended are cancelled once more.
void UringBackend::cancel_missed() noexcept {
  if (!std::exchange(cancel_missed_, false)) return;
  // Those that end meanwhile keep their `next`, and nobody resumes them.
  for (const Operation* each = cancelled_; each != nullptr; each = each->next)
    cancel_entry(tag_of(*each), 0);
}

std::int64_t UringBackend::abandon(Operation& operation) noexcept {
  if (take_from_again(operation)) return -ECANCELED;
  abandoned_ = &operation;
  cancel_missed_ = true;
  while (abandoned_ != nullptr) {
    if (std::exchange(cancel_missed_, false) && operation.kind != OperationKind::close)
      cancel_entry(tag_of(operation), 0);
    wait_for_one();
  }
  cancel_missed_ = cancelled_ != nullptr;  // it may have been another one's
  return operation.result;
}

/// What a completion means for its operation.
void UringBackend::ended(Operation& operation, int result) noexcept {
  if (result >= 0 && operation.backend_word == doing_itself && &operation != abandoned_) [[likely]]
    completions_.finish(operation, result);
  else
    not_done(operation, result);
}

/// The operation failed, was cancelled or abandoned, or its descriptor has become ready.
void UringBackend::not_done(Operation& operation, int result) noexcept {
  if ((operation.backend_word & being_cancelled) != 0) take_from_cancelled(operation);
  const bool waited = operation.backend_word == awaiting_readiness;
  if (&operation == abandoned_) {
    operation.result = waited ? -ECANCELED : result;
    abandoned_ = nullptr;
    return;
  }
  // A descriptor in non-blocking mode says EAGAIN instead of waiting: wait for it, then do it.
  const bool not_ready = !waited && must_wait(operation, result);
  const bool again = result == -EINTR && operation.kind != OperationKind::close;
  if (!not_ready && !again && !(waited && result >= 0))
    return completions_.finish(operation, result == -EINTR ? 0 : result);
  if (operation.cancelling || closing_) return completions_.finish(operation, -ECANCELED);
  operation.backend_word = not_ready ? awaiting_readiness : doing_itself;
  operation.next = std::exchange(again_, &operation);
}

bool UringBackend::take_from_again(Operation& operation) noexcept {
  for (Operation** at = &again_; *at != nullptr; at = &(*at)->next) {
    if (*at != &operation) continue;
    *at = operation.next;
    return true;
  }
  return false;
}

/// Takes all completions; resumes nothing. True if there were any that matter to the loop.
bool UringBackend::reap() noexcept {
  bool any = false;
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(ring_.get(), head, cqe) {
    ++count;
    --in_kernel_;
    if (cqe->user_data == cancel_tag) {
      cancel_missed_ = cancel_missed_ || cqe->res == -ENOENT;
      continue;
    }
    any = true;
    if (cqe->user_data == wake_tag) {
      wake_armed_ = false;
      wake_rung_ = wake_rung_ || cqe->res >= 0;
      continue;
    }
    ended(*reinterpret_cast<Operation*>(static_cast<std::uintptr_t>(cqe->user_data)), cqe->res);
  }
  io_uring_cq_advance(ring_.get(), count);
  return any;
}

void UringBackend::rearm() noexcept {
  while (again_ != nullptr) {
    Operation& operation = *std::exchange(again_, again_->next);
    if (closing_) {
      completions_.finish(operation, -ECANCELED);
    } else if (operation.backend_word == awaiting_readiness) {
      io_uring_sqe* const entry = next_entry();
      io_uring_prep_poll_add(entry, operation.fd,
                             static_cast<unsigned short>(awaited_events(operation)));
      io_uring_sqe_set_data64(entry, tag_of(operation));
    } else {
      arm(operation);
    }
  }
}

void UringBackend::gather() {
  cancel_missed();
  rearm();
  int rc = 0;
  const unsigned flags = IO_URING_READ_ONCE(*ring_->sq.kflags);
  if (io_uring_sq_ready(ring_.get()) != 0)
    rc = io_uring_submit_and_get_events(ring_.get());
  else if ((flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0)
    rc = io_uring_get_events(ring_.get());
  reap();
  rearm();  // submitted at the next turn
  if (rc < 0 && !is_passing(rc)) os::throw_errno(-rc, "io_uring_enter");
}

void UringBackend::wait(std::int64_t deadline_ns) {
  cancel_missed();
  rearm();
  arm_wake();
  const std::int64_t left = deadline_ns == os::never_ns ? os::never_ns : deadline_ns - os::now_ns();
  if (left <= 0 || wake_rung_ || io_uring_cq_ready(ring_.get()) != 0) {
    gather();
  } else {
    const timespec t = os::to_timespec(left);
    __kernel_timespec timeout{t.tv_sec, t.tv_nsec};
    io_uring_cqe* cqe = nullptr;
    const int rc = io_uring_submit_and_wait_timeout(
        ring_.get(), &cqe, 1, left == os::never_ns ? nullptr : &timeout, nullptr);
    reap();
    rearm();
    if (rc < 0 && rc != -ETIME && !is_passing(rc)) os::throw_errno(-rc, "io_uring_enter");
  }
  drain_wake();
}

/// Called while tearing down: submits, and returns after at least one completion, a passing error,
/// or 10 ms, so that a cancellation can be tried once more.
void UringBackend::wait_for_one() noexcept {
  __kernel_timespec timeout{0, 10'000'000};
  io_uring_cqe* cqe = nullptr;
  const int rc = io_uring_submit_and_wait_timeout(ring_.get(), &cqe, 1, &timeout, nullptr);
  // Otherwise the kernel still has buffers of ours.
  PINION_ENSURE(rc >= 0 || rc == -ETIME || is_passing(rc));
  cancel_missed_ = cancel_missed_ || rc == -ETIME;
  reap();
}

void UringBackend::arm_wake() noexcept {
  if (wake_fd_ < 0 || wake_armed_ || wake_rung_) return;
  io_uring_sqe* const entry = next_entry();
  io_uring_prep_poll_add(entry, wake_fd_, POLLIN);
  io_uring_sqe_set_data64(entry, wake_tag);
  wake_armed_ = true;
}

/// Called by: wait() only. A write that poll() sees must still end the next wait().
void UringBackend::drain_wake() noexcept {
  if (!wake_rung_) return;
  wake_rung_ = false;
  os::drain_eventfd(wake_fd_);
}

void UringBackend::set_wake_fd(int eventfd) noexcept {
  if (wake_armed_) cancel_entry(wake_tag, 0);
  while (wake_armed_) wait_for_one();
  wake_rung_ = false;
  wake_fd_ = eventfd;
}

}  // namespace pinion::loop
