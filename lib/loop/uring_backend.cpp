#include "lib/loop/uring_backend.hpp"

#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "lib/os/clock.hpp"
#include "lib/os/ensure.hpp"
#include "lib/os/eventfd.hpp"

namespace pinion::loop {

using detail::Operation;
using detail::OperationKind;

namespace {

// Operations are told apart by their address; these two lie below every address.
constexpr std::uint64_t ignored_tag = 0;
constexpr std::uint64_t wake_tag = 1;

// What an operation's entry is doing, in Operation::backend_word.
constexpr std::int32_t doing_itself = 0;
constexpr std::int32_t awaiting_readiness = 1;

// MAX_RW_COUNT of the kernel: no single call moves more.
constexpr std::size_t transfer_bytes_max = 0x7ffff000;

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
  if (completions_.pending != 0) cancel_entry(0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
  while (in_kernel_ != 0) wait_for_one();
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

void UringBackend::prepare_transfer(io_uring_sqe* entry, Operation& operation) noexcept {
  const auto length = static_cast<unsigned>(std::min(operation.length, transfer_bytes_max));
  if (operation.kind == OperationKind::read)
    io_uring_prep_read(entry, operation.fd, const_cast<void*>(operation.buffer), length,
                       operation.offset);
  else
    io_uring_prep_write(entry, operation.fd, operation.buffer, length, operation.offset);
}

void UringBackend::arm(Operation& operation) noexcept {
  io_uring_sqe* const entry = next_entry();
  operation.backend_word = doing_itself;
  if (operation.kind == OperationKind::poll)
    io_uring_prep_poll_add(entry, operation.fd, static_cast<unsigned short>(operation.events));
  else
    prepare_transfer(entry, operation);
  io_uring_sqe_set_data64(entry, tag_of(operation));
}

/// Entries are taken in order, so this one can only meet the operation it was made for, even where
/// a later one has the same address.
void UringBackend::cancel_entry(std::uint64_t tag, unsigned flags) noexcept {
  io_uring_sqe* const entry = next_entry();
  io_uring_prep_cancel64(entry, tag, static_cast<int>(flags));
  io_uring_sqe_set_data64(entry, ignored_tag);
}

void UringBackend::cancel(Operation& operation) noexcept {
  if (take_from_again(operation))  // there is no entry to cancel
    completions_.finish(operation, -ECANCELED);
  else
    cancel_entry(tag_of(operation), 0);
}

void UringBackend::abandon(Operation& operation) noexcept {
  if (take_from_again(operation)) return;
  abandoned_ = &operation;
  cancel_entry(tag_of(operation), 0);
  while (abandoned_ != nullptr) wait_for_one();
}

/// What a completion means for its operation.
void UringBackend::ended(Operation& operation, int result) noexcept {
  if (&operation == abandoned_) {
    abandoned_ = nullptr;
    return;
  }
  const bool waited = operation.backend_word == awaiting_readiness;
  // A descriptor in non-blocking mode says EAGAIN instead of waiting: wait for it, then do it.
  const bool not_ready = result == -EAGAIN && operation.kind != OperationKind::poll && !waited;
  const bool unfinished = not_ready || result == -EINTR || (waited && result >= 0);
  if (!unfinished) return completions_.finish(operation, result);
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
    if (cqe->user_data == ignored_tag) continue;
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
                             operation.kind == OperationKind::read ? POLLIN : POLLOUT);
      io_uring_sqe_set_data64(entry, tag_of(operation));
    } else {
      arm(operation);
    }
  }
}

void UringBackend::gather() {
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

/// Called while tearing down: submits, and returns after at least one completion or a passing
/// error.
void UringBackend::wait_for_one() noexcept {
  const int rc = io_uring_submit_and_wait(ring_.get(), 1);
  PINION_ENSURE(rc >= 0 || is_passing(rc));  // the kernel still has buffers of ours
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
